//! `envoy/capabilities.yaml`, the list for a `capability_restriction_config`: it is what the module imports and exports, no more and no
//! less, and under it the filter works.

use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::{process, stub};
use std::collections::BTreeSet;

const LIST: &str = include_str!("../../envoy/capabilities.yaml");

/// The names of the list.
fn listed() -> BTreeSet<String> {
    let names = LIST.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(": {}"));
    names.map(str::to_owned).collect()
}

/// Reads WebAssembly's binary format as far as its sections of imports and exports (section IDs 2 and 7).
struct Module<'m> {
    bytes: &'m [u8],
}

impl<'m> Module<'m> {
    fn take(&mut self, count: usize) -> &'m [u8] {
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        taken
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn name(&mut self) -> String {
        let length = self.number();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }
}

/// What the module imports, and the callbacks that it exports. What every module has (memory, its start) is nothing that is restricted.
fn needed() -> BTreeSet<String> {
    let bytes = std::fs::read(process::program("TENANCY_WASM")).unwrap();
    let mut module = Module { bytes: &bytes[8..] };
    let mut names = BTreeSet::new();
    while !module.bytes.is_empty() {
        let section = module.take(1)[0];
        let length = module.number();
        let mut section_bytes = Module { bytes: module.take(length) };
        match section {
            2 => {
                for _ in 0..section_bytes.number() {
                    let _module = section_bytes.name();
                    names.insert(section_bytes.name());
                    assert_eq!(section_bytes.take(1), [0], "only functions are imported");
                    section_bytes.number();
                }
            }
            7 => {
                for _ in 0..section_bytes.number() {
                    let name = section_bytes.name();
                    section_bytes.take(1);
                    section_bytes.number();
                    if name.starts_with("proxy_on_") && name != "proxy_on_memory_allocate" {
                        names.insert(name);
                    }
                }
            }
            _ => {}
        }
    }
    names
}

#[test]
fn the_list_is_what_the_module_imports_and_exports() {
    assert_eq!(listed(), needed());
}

#[test]
fn under_the_restriction_the_filter_works() {
    let lines = LIST.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    let restriction: String = lines.map(|line| format!("      {line}\n")).collect();
    const AT: &str = "      vm_config:\n";
    let envoy = Setup::shipped(stub().port).replace(AT, &format!("{restriction}{AT}")).start("envoy-restricted");
    let id = crate::support::unique();
    let answer = Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", &id).send(envoy.port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stub().seen(&id);
    assert!(format!("{seen:?}").contains("tenant_id"), "{seen:?}");
    assert_eq!(Request::get("/api/v1/query?query=up").send(envoy.port()).status, 401);
    assert_eq!(Request::get("/api/v1/targets").tenant("team-a").send(envoy.port()).status, 403);
    envoy.assert_healthy();
}
