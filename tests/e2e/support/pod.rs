//! The Envoy of a Deployment, run without a cluster: its ConfigMaps as the kubelet mounts them, its container's arguments.

use super::http::{Request, Response};
use super::process::{self, Process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running pod. What differs from a cluster is the ports, the upstream's address, and the folder that stands for the container's root.
pub struct Pod {
    pub process: Process,
    /// The port of the container that is called so.
    pub query: u16,
    /// Likewise.
    pub pages: u16,
    container: Value,
    volumes: Vec<(String, Volume)>,
    /// What stands in the manifests, and what stands for it here.
    local: Vec<(String, String)>,
}

impl Pod {
    /// Starts the Envoy of the one Deployment in these documents, with the upstream's host led to this port. Waits until it listens.
    pub fn start(name: &str, documents: &[Value], upstream: &str, upstream_port: u16) -> Pod {
        let spec =
            &documents.iter().find(|document| document["kind"] == "Deployment").unwrap()["spec"]["template"]["spec"];
        let container = spec["containers"][0].clone();
        let root = process::folder().join(name);
        let (query, pages, admin) = (process::free_port(), process::free_port(), process::free_port());
        let port = |name: &str| {
            let ports = container["ports"].as_array().unwrap();
            ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].to_string()
        };
        // Ports by the text before them, with and without quotes around the address.
        let mut local = Vec::new();
        for quote in ["", "\""] {
            let any = format!("{quote}0.0.0.0{quote}, port_value: ");
            local.push((format!("{any}{}", port("query")), format!("127.0.0.1, port_value: {query}")));
            local.push((format!("{any}{}", port("pages")), format!("127.0.0.1, port_value: {pages}")));
            for given in ["9090", "10902"] {
                let host = format!("{quote}{upstream}{quote}, port_value: {given}");
                local.push((host, format!("127.0.0.1, port_value: {upstream_port}")));
            }
        }
        local.push(("127.0.0.1, port_value: 9901".to_owned(), format!("127.0.0.1, port_value: {admin}")));
        local.push(("/etc/envoy/".to_owned(), format!("{}/etc/envoy/", root.display())));

        let mut volumes = Vec::new();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let volume =
                spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            let folder = PathBuf::from(format!("{}{}", root.display(), mount["mountPath"].as_str().unwrap()));
            if let Some(name) = volume["configMap"]["name"].as_str() {
                volumes.push((name.to_owned(), Volume::mount(folder, &files(documents, name, &local))));
            } else {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::copy(process::program("TENANCY_WASM"), folder.join("plugin.wasm")).unwrap();
            }
        }
        let mut command = Command::new(process::program("TENANCY_ENVOY"));
        let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        command.args(arguments.map(|argument| replaced(argument, &local))).arg("--disable-hot-restart");
        let process = Process::start(&format!("envoy-{name}"), command);
        let pod = Pod { process, query, pages, container, volumes, local };
        pod.process.wait_until(|| Request::get("/ready").try_send(pages).is_some_and(|answer| answer.status == 200));
        pod
    }

    /// Does what the kubelet does when the ConfigMaps have become those of these documents.
    pub fn update(&mut self, documents: &[Value]) {
        for (name, volume) in &mut self.volumes {
            volume.update(&files(documents, name, &self.local));
        }
    }

    /// The answer to `readinessProbe`, `livenessProbe` or `startupProbe`, asked as the kubelet asks.
    pub fn probe(&self, name: &str) -> Response {
        let get = &self.container[name]["httpGet"];
        let mut request = Request::get(get["path"].as_str().unwrap());
        for header in get["httpHeaders"].as_array().into_iter().flatten() {
            request = request.header(header["name"].as_str().unwrap(), header["value"].as_str().unwrap());
        }
        match get["port"].as_str().unwrap() {
            "query" => request.send(self.query),
            "pages" => request.send(self.pages),
            other => panic!("{name} asks port {other}"),
        }
    }
}

/// The files of a ConfigMap.
fn files(documents: &[Value], name: &str, local: &[(String, String)]) -> Vec<(String, String)> {
    let is_it = |document: &&Value| document["kind"] == "ConfigMap" && document["metadata"]["name"] == *name;
    let map = documents.iter().find(is_it).unwrap_or_else(|| panic!("no ConfigMap {name}"));
    let data = map["data"].as_object().unwrap();
    data.iter().map(|(name, text)| (name.clone(), replaced(text.as_str().unwrap(), local))).collect()
}

fn replaced(text: &str, local: &[(String, String)]) -> String {
    local.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
}

/// A ConfigMap as a volume: the files are links into `..data`, which is a link to the current folder.
struct Volume {
    folder: PathBuf,
    version: u32,
}

impl Volume {
    fn mount(folder: PathBuf, files: &[(String, String)]) -> Volume {
        std::fs::create_dir_all(&folder).unwrap();
        let mut volume = Volume { folder, version: 0 };
        volume.update(files);
        for (name, _) in files {
            std::os::unix::fs::symlink(Path::new("..data").join(name), volume.folder.join(name)).unwrap();
        }
        volume
    }

    /// What the kubelet does when the ConfigMap has changed.
    fn update(&mut self, files: &[(String, String)]) {
        self.version += 1;
        let current = format!("..version_{}", self.version);
        std::fs::create_dir(self.folder.join(&current)).unwrap();
        for (name, text) in files {
            std::fs::write(self.folder.join(&current).join(name), text).unwrap();
        }
        std::os::unix::fs::symlink(&current, self.folder.join("..data_tmp")).unwrap();
        std::fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
    }
}
