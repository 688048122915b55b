//! Child processes that never outlive the tests, also if a test panics or is killed.
//!
//! A process that many tests share lives in a static, and statics are not dropped. So on Linux each child is killed by
//! the kernel when the thread that started it ends; that is one thread, which lives as long as the test program.

use std::cell::RefCell;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A running program, whose output goes to a file.
pub struct Process {
    name: String,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts a program. `name` is unique among those that run at the same time.
    pub fn start(name: &str, mut command: Command) -> Process {
        let log = folder().join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let program = command.get_program().to_owned();
        let child = spawn(command).unwrap_or_else(|error| panic!("{}: {error}", Path::new(&program).display()));
        Process { name: name.to_owned(), child: Mutex::new(child), log }
    }

    /// Waits until `ready` is true. Fails with the log if the program ends or takes too long.
    pub fn wait_until(&self, ready: impl Fn() -> bool) {
        self.wait_at_most(Duration::from_secs(60), ready);
    }

    /// Likewise, with a patience of its own.
    pub fn wait_at_most(&self, patience: Duration, ready: impl Fn() -> bool) {
        let start = Instant::now();
        while !ready() {
            let ended = self.ended();
            assert!(ended.is_none(), "{} ended with {}:\n{}", self.name, ended.unwrap(), tail(&self.log));
            assert!(start.elapsed() < patience, "{} is not ready after {patience:?}:\n{}", self.name, tail(&self.log));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The exit status, if the program has ended.
    pub fn ended(&self) -> Option<std::process::ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Waits for the program's end; `None` if it takes longer than this.
    pub fn ends_within(&self, patience: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        while self.ended().is_none() && start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.ended()
    }

    /// Sends the program a signal.
    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        let id = i32::try_from(self.child.lock().unwrap().id()).unwrap();
        // SAFETY: a system call without pointers. The child is waited for under the same lock, so the number is still its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    /// The memory that the program takes now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let id = self.child.lock().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).expect("VmRSS")
    }

    /// The time that the program has computed, in milliseconds, to a hundredth of a second.
    pub fn cpu_ms(&self) -> u64 {
        let id = self.child.lock().unwrap().id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let after_name = stat.rsplit_once(')').expect("the name in parentheses").1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // `utime` and `stime` of proc_pid_stat(5), in ticks of which a second has 100.
        [11, 12].map(|at| fields[at].parse::<u64>().unwrap() * 10).iter().sum()
    }

    /// The program's output.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Notes that the current test talks to this program, so that its log is shown if the test fails.
    pub fn used(&self) {
        USED.with_borrow_mut(|used| {
            if !used.contains(&self.log) {
                used.push(self.log.clone());
            }
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // This fails only if the program has ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A free port on loopback. It is below the range that the kernel uses for outgoing connections, so that none of them takes the port before the program
/// does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < 11_000, "no free port on loopback");
        let port = 20_000 + (std::process::id().wrapping_mul(97) + number) % 11_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A folder of this run. Those of earlier runs are removed.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        for old in fs::read_dir(&all).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(old.file_name()).exists() {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let own = all.join(std::process::id().to_string());
        fs::create_dir_all(&own).unwrap();
        show_logs_on_panic();
        own
    })
}

/// The program that an environment variable names.
pub fn program(variable: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run `make test`, which installs and builds what the end-to-end tests need");
    };
    assert!(Path::new(&path).is_file(), "{variable} is {path:?}, which is not there: run `make test`");
    path.into()
}

thread_local! {
    static USED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

fn show_logs_on_panic() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        earlier(info);
        for log in USED.with_borrow(Clone::clone) {
            eprintln!("--- the end of {}:\n{}", log.display(), tail(&log));
        }
    }));
}

fn tail(log: &Path) -> String {
    const LINES: usize = 12;
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let cut = |line: &&str| line.chars().take(400).collect::<String>();
    lines[lines.len().saturating_sub(LINES)..].iter().map(cut).collect::<Vec<_>>().join("\n")
}

type Started = Sender<std::io::Result<Child>>;

fn spawn(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<Mutex<Sender<(Command, Started)>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<(Command, Started)>();
        std::thread::spawn(move || {
            for (mut command, started) in receiver {
                die_with_this_thread(&mut command);
                let _ = started.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (started, result) = mpsc::channel();
    starter.lock().unwrap().send((command, started)).unwrap();
    result.recv().unwrap()
}

#[cfg(target_os = "linux")]
fn die_with_this_thread(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    // SAFETY: runs between fork and exec, and makes two system calls, which are safe there.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have ended before the call above.
            if std::os::unix::process::parent_id() != parent {
                return Err(std::io::ErrorKind::NotConnected.into());
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_this_thread(_: &mut Command) {}
