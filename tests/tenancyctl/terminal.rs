//! What the tool shows on a terminal, and not elsewhere: colours.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::process::{Command, Stdio};

/// What the tool writes to a terminal.
fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: both places are there, and what may be null is.
    let opened = unsafe { libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()) };
    assert_eq!(opened, 0, "a terminal");
    // SAFETY: both were just opened, and nothing else has them.
    let (mut ours, theirs) = unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) };
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    command
        .args(arguments)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .envs(environment.to_vec());
    let second = theirs.try_clone().expect("a copy");
    let mut child = command.stdin(Stdio::null()).stdout(theirs).stderr(second).spawn().expect("the tool starts");
    // It has the terminal's other end too.
    drop(command);
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    // A terminal that nobody has open any more ends with an error.
    while let Ok(count @ 1..) = ours.read(&mut piece) {
        text.extend_from_slice(&piece[..count]);
    }
    child.wait().expect("the tool ends");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn a_terminal_gets_colours_unless_they_are_switched_off() {
    for arguments in [&["--help"][..], &["check", "no-such-file"]] {
        let text = shown(arguments, &[]);
        assert!(text.contains("\x1b["), "{text:?}");
        let plain = shown(arguments, &[("NO_COLOR", "1")]);
        assert!(!plain.is_empty() && !plain.contains('\x1b'), "{plain:?}");
    }
}
