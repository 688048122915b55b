//! Runs the services of a compose file without containers: the same programs with the same arguments, files and environment.
//!
//! What a container engine would do is done by text, in arguments, environment and mounted files:
//!
//! - Each service has a loopback address of its own, so that ports stay as they are. `name:port` and `address: name` become that
//!   address if the two services share a network, and otherwise an address without a listener.
//! - `0.0.0.0` and `127.0.0.1` become the service's own address.
//! - A service starts when those that it depends on answer what their health check asks.
//! - Mounted files are copied below a folder that stands for the container's root; paths of arguments lead there.
//!
//! Grafana is not run, because there is no package of it. The tests send the requests that its data sources would send.

use super::http::Request;
use super::manifests::json;
use super::process::{self, Process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Changes a mounted file's text. Given: the path in the container, and the text.
pub type Edit<'e> = &'e dyn Fn(&str, String) -> String;

/// The services of a compose file.
pub struct Topology {
    name: String,
    services: BTreeMap<String, Value>,
    addresses: BTreeMap<String, Ipv4Addr>,
    running: BTreeMap<String, Process>,
    nobody: Ipv4Addr,
}

impl Topology {
    /// Starts all services that stay up.
    pub fn start(file: &str) -> Topology {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/docker-compose").join(file);
        let project = json("compose", &path).remove(0);
        let services: BTreeMap<String, Value> = serde_json::from_value(project["services"].clone()).unwrap();
        let block = block();
        let number = |index: usize| Ipv4Addr::new(127, block[0], block[1], u8::try_from(index + 1).unwrap());
        let addresses = services.keys().enumerate().map(|(index, name)| (name.clone(), number(index))).collect();
        let nobody = number(200);
        let mut topology =
            Topology { name: file.replace('.', "-"), services, addresses, running: BTreeMap::new(), nobody };
        let names: Vec<String> = topology.services.keys().cloned().collect();
        for name in names {
            topology.start_after_others(&name);
        }
        topology
    }

    /// Starts a service once those that it depends on are healthy.
    fn start_after_others(&mut self, service: &str) {
        if self.running.contains_key(service) {
            return;
        }
        let others: BTreeMap<String, Value> =
            serde_json::from_value(self.services[service]["depends_on"].clone()).unwrap_or_default();
        for (other, dependency) in others {
            assert_eq!(dependency["condition"], "service_healthy", "{service}");
            self.start_after_others(&other);
            let test = strings(&self.services[&other]["healthcheck"]["test"]);
            let target = test.last().unwrap().strip_prefix("http://localhost:").expect("an URL to ask");
            let (port, path) = target.split_once('/').unwrap();
            let server = SocketAddrV4::new(self.addresses[&other], port.parse().unwrap());
            let request = Request::get(&format!("/{path}"));
            self.running[&other]
                .wait_until(|| TcpStream::connect(server).is_ok() && request.send_to(server).status == 200);
        }
        self.run(service, &|_, text| text);
    }

    /// Ends a service and starts it again with changed files.
    pub fn run(&mut self, service: &str, edit: Edit<'_>) {
        self.running.remove(service);
        let image = self.services[service]["image"].as_str().unwrap();
        let program = match image.split(':').next().unwrap() {
            "prom/prometheus" => process::program("TENANCY_PROMETHEUS"),
            "quay.io/thanos/thanos" => process::program("TENANCY_THANOS"),
            "envoyproxy/envoy" => process::program("TENANCY_ENVOY"),
            // Grafana is not run (see above), and the check only on request.
            "grafana/grafana" | "debian" => return,
            other => panic!("{service}: what is {other}?"),
        };
        let root = self.mount(service, edit);
        let mut command = Command::new(&program);
        // A path in the container, alone or as a flag's value.
        let argument = |given: &str| match given.find('/') {
            Some(at) if at == 0 || given[..at].ends_with('=') => {
                format!("{}{}{}", &given[..at], root.display(), &given[at..])
            }
            _ => self.local(service, given),
        };
        let arguments = strings(&self.services[service]["command"]);
        let arguments = arguments.strip_prefix(&["envoy".to_owned()]).unwrap_or(&arguments);
        command.args(arguments.iter().map(|given| argument(given))).current_dir(&root);
        if image.starts_with("envoyproxy/") {
            // As every Envoy of these tests: several may run beside each other.
            command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        }
        let process = Process::start(&format!("{}-{service}", self.name), command);
        self.running.insert(service.to_owned(), process);
    }

    /// Waits until a service listens on a port.
    pub fn wait_for(&self, service: &str, port: u16) {
        let address = SocketAddrV4::new(self.addresses[service], port);
        self.running[service].wait_until(|| TcpStream::connect(address).is_ok());
    }

    /// Runs a service that ends by itself, waiting this many seconds for the others' data, with more environment.
    pub fn check(&self, patience: u32, environment: &[(&str, &str)]) -> Output {
        self.running.values().for_each(Process::used);
        let root = self.mount("check", &|_, text| text);
        let entrypoint = strings(&self.services["check"]["entrypoint"]);
        let [shell, script] = entrypoint.as_slice() else { panic!("{entrypoint:?}") };
        let given = self.services["check"]["environment"].as_object().unwrap();
        let output = Command::new(shell)
            .arg(format!("{}{script}", root.display()))
            // Nobody else is served here.
            .args(["--rate", "2000"])
            .envs(given.iter().map(|(name, value)| (name, self.environment("check", value.as_str().unwrap(), &root))))
            .env("PATH", format!("{}/usr/local/bin:/usr/bin:/bin", root.display()))
            .env("PATIENCE", patience.to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        for (name, process) in &self.running {
            assert!(process.ended().is_none(), "{name} has ended: {}", process.log());
        }
        output
    }

    /// A service's address.
    pub fn address(&self, service: &str) -> Ipv4Addr {
        self.addresses[service]
    }

    /// Copies what is mounted, adapted, and gives the folder that stands for the container's root.
    fn mount(&self, service: &str, edit: Edit<'_>) -> PathBuf {
        let root = process::folder().join(&self.name).join(service);
        let volumes = self.services[service]["volumes"].as_array().cloned().unwrap_or_default();
        let mounts: Vec<(PathBuf, String)> = volumes
            .iter()
            .map(|volume| (volume["source"].as_str().unwrap().into(), volume["target"].as_str().unwrap().to_owned()))
            .collect();
        for (source, target) in &mounts {
            let path = PathBuf::from(format!("{}{target}", root.display()));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if target.ends_with(".wasm") {
                std::fs::copy(process::program("TENANCY_WASM"), &path).unwrap();
                continue;
            }
            if target.ends_with("/tenancyctl") {
                std::fs::copy(env!("CARGO_BIN_EXE_tenancyctl"), &path).unwrap();
                continue;
            }
            let text = std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
            let mut text = self.local(service, &edit(target, text));
            for (_, other) in &mounts {
                text = text.replace(other, &format!("{}{other}", root.display()));
            }
            std::fs::write(&path, text).unwrap();
        }
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    /// A text of a service, with addresses instead of names.
    fn local(&self, service: &str, text: &str) -> String {
        let own = self.addresses[service].to_string();
        let mut text = text.replace("0.0.0.0", &own).replace("127.0.0.1", &own);
        for (name, address) in &self.addresses {
            let address = if self.share_a_network(service, name) { *address } else { self.nobody };
            text = replace_host(&text, name, &address.to_string());
        }
        text
    }

    /// A value of the environment: a path in the container, or a text with names.
    fn environment(&self, service: &str, value: &str, root: &Path) -> String {
        match value.starts_with('/') {
            true => format!("{}{value}", root.display()),
            false => self.local(service, value),
        }
    }

    fn share_a_network(&self, one: &str, other: &str) -> bool {
        let networks = |service: &str| self.services[service]["networks"].as_object().cloned().unwrap_or_default();
        let of_other = networks(other);
        networks(one).keys().any(|network| of_other.contains_key(network))
    }
}

/// Replaces a host name before a port, or as an Envoy address.
fn replace_host(text: &str, name: &str, address: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let whole = !before.ends_with(|last: char| last.is_ascii_alphanumeric() || "-_.".contains(last));
        let port = after.strip_prefix(':').is_some_and(|port| port.starts_with(|first: char| first.is_ascii_digit()));
        out.push_str(before);
        out.push_str(if whole && (port || before.ends_with("address: ")) { address } else { name });
        rest = after;
    }
    out + rest
}

fn strings(list: &Value) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}

/// The second and third byte of this topology's loopback addresses: not those of other runs on this machine.
fn block() -> [u8; 2] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let [.., second, third] = number.to_be_bytes();
    [16 + second % 200, third]
}
