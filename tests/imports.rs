//! Imports run one way. The order of the modules is the map in src/lib.rs, and is nowhere else: a module imports only what stands on
//! a later line of it. The adapters alone name the proxy's SDK, and a configuration can be shared between threads.
#![cfg(not(target_family = "wasm"))]

use std::collections::BTreeMap;
use std::path::Path;

/// A source file: its path below src, and what it holds without comments and without its tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        // A file's tests stand at its end.
        let tests = ["mod tests", "pub mod tests", "pub(super) mod tests", "pub(crate) mod tests"];
        let tests = tests.iter().filter_map(|tests| text.find(&format!("#[cfg(test)]\n{tests}")));
        let code = &text[..tests.min().unwrap_or(text.len())];
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        Source { path: path.to_owned(), code: code.lines().filter(is_code).collect::<Vec<_>>().join("\n") }
    }

    /// The module below the crate's root that the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// How many modules the file is inside of: 1 for the module itself.
    fn depth(&self) -> usize {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').count()
    }

    /// The modules that it names, by `crate::…` or by climbing up to the root.
    fn imports(&self) -> Vec<&str> {
        let after = |start: &str| self.code.match_indices(start).map(|(at, _)| at + start.len()).collect::<Vec<_>>();
        let at_root = "super::".repeat(self.depth());
        let mut found = Vec::new();
        for at in after("crate::").into_iter().chain(after(&at_root)) {
            let rest = &self.code[at..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(members(group)),
                None => found.push(word(rest)),
            }
        }
        found
    }
}

/// The first name of each member of a group: `a` and `b` of `a, b::{c, d}}`.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !c.is_whitespace() => {
                found.push(word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> &str {
    text.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or_default()
}

/// The modules that src/lib.rs declares.
fn declared(lib: &str) -> Vec<&str> {
    let name = |line: &'_ str| -> Option<usize> {
        let rest = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')?;
        Some(line.len() - 1 - rest.len())
    };
    lib.lines().filter_map(|line| name(line).map(|at| &line[at..line.len() - 1])).collect()
}

/// The map's lines from the top, each with the modules that stand on it.
fn map(lib: &str) -> Vec<Vec<&str>> {
    let modules = declared(lib);
    let (_, rest) = lib.split_once("# A map of the code").expect("the map");
    let (_, rest) = rest.split_once("```text\n").expect("its begin");
    let (lines, _) = rest.split_once("//! ```").expect("its end");
    let names = |line: &'_ str| line.trim_start_matches("//!").split_whitespace().count();
    assert!(lines.lines().all(|line| names(line) > 0), "no empty line");
    lines
        .lines()
        .map(|line| {
            line.trim_start_matches("//!").split_whitespace().take_while(|name| modules.contains(name)).collect()
        })
        .collect()
}

/// Everything that is not as the map says.
fn violations(lib: &str, sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let lines = map(lib);
    let mut line_of = BTreeMap::new();
    for (line, name) in lines.iter().enumerate().flat_map(|(line, names)| names.iter().map(move |name| (line, *name))) {
        if line_of.insert(name, line).is_some() {
            found.push(format!("{name} stands in the map twice"));
        }
    }
    for name in declared(lib).into_iter().filter(|name| !line_of.contains_key(name)) {
        found.push(format!("{name} is not in the map"));
    }
    for source in sources {
        let module = source.module();
        for import in source.imports().into_iter().filter(|import| *import != module) {
            match (line_of.get(module), line_of.get(import)) {
                (Some(from), Some(to)) if from < to => {}
                (Some(_), Some(_)) => found.push(format!("{}: {module} imports {import}", source.path)),
                (_, None) => found.push(format!("{}: imports {import}, which is no module", source.path)),
                (None, _) => found.push(format!("{}: belongs to no module of the map", source.path)),
            }
        }
        let names =
            |wanted: &str| source.code.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == wanted);
        if names("proxy_wasm") && module != "host" {
            found.push(format!("{}: names the proxy's SDK", source.path));
        }
        if source.code.contains("envoy_dynamic_module_") && module != "host" {
            found.push(format!("{}: names Envoy's ABI", source.path));
        }
        for shared in ["Rc", "RefCell", "Cell", "OnceCell"].into_iter().filter(|name| module == "config" && names(name))
        {
            found.push(format!("{}: {shared} can't be shared between threads", source.path));
        }
    }
    found
}

fn read(folder: &Path, below: &str, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}{name}");
        if entry.path().is_dir() {
            if name != "tests" && path != "bin" {
                read(&entry.path(), &format!("{path}/"), sources);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && path != "lib.rs" {
            sources.push(Source::new(&path, &std::fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn modules_import_downwards_only() {
    let lib = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let mut sources = Vec::new();
    read(&root(), "", &mut sources);
    assert!(sources.len() > 80 && declared(&lib).len() > 15, "{}", sources.len());
    let imports: usize = sources.iter().map(|source| source.imports().len()).sum();
    assert!(imports > 100, "{imports}");
    let found = violations(&lib, &sources);
    assert!(found.is_empty(), "see the map in src/lib.rs:\n{}", found.join("\n"));
}

const LIB: &str = "\
//! # A map of the code
//! ```text
//! host           the adapters
//! config  api    what is decided
//! text           formats
//! ```
mod host;
pub mod config;
pub mod api;
mod text;
";

#[track_caller]
fn finds(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(violations(LIB, &[Source::new(path, text)]), expected, "{path}: {text}");
}

#[test]
fn what_runs_the_other_way_is_found() {
    finds("host/proxy_wasm/mod.rs", "use crate::config::Config;\nuse proxy_wasm::types::Action;", &[]);
    finds("config/mod.rs", "use crate::text::{self, quote};\nuse super::text;\nuse self::json;", &[]);
    finds("text.rs", "use crate::config::Config;", &["text.rs: text imports config"]);
    finds("text.rs", "fn f() { crate::api::find() }", &["text.rs: text imports api"]);
    finds("text.rs", "use super::api;", &["text.rs: text imports api"]);
    finds("text/quote.rs", "use super::super::api;", &["text/quote.rs: text imports api"]);
    finds("text/quote.rs", "use super::api;", &[]);
    // Neither stands below the other.
    finds("config/json.rs", "use crate::api::TABLE;", &["config/json.rs: config imports api"]);
    finds(
        "text.rs",
        "use crate::{\n    text::a,\n    host::{self, b},\n    api,\n};",
        &["text.rs: text imports host", "text.rs: text imports api"],
    );
    finds("text.rs", "use crate::wire::take;", &["text.rs: imports wire, which is no module"]);
    finds("wire.rs", "use crate::text::a;", &["wire.rs: belongs to no module of the map"]);
    finds(
        "text.rs",
        "// use crate::api;\n/// [`crate::api`]\nfn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::api;\n}",
        &[],
    );
}

#[test]
fn what_a_module_must_not_name_is_found() {
    finds("api/mod.rs", "use proxy_wasm::types::Action;", &["api/mod.rs: names the proxy's SDK"]);
    finds("host/dynamic_module/abi.rs", "fn envoy_dynamic_module_callback_log();", &[]);
    finds("api/mod.rs", "fn envoy_dynamic_module_callback_log();", &["api/mod.rs: names Envoy's ABI"]);
    finds("config/mod.rs", "use std::rc::Rc;", &["config/mod.rs: Rc can't be shared between threads"]);
    finds(
        "config/a.rs",
        "use std::cell::{Cell, RefCell};",
        &["config/a.rs: RefCell can't be shared between threads", "config/a.rs: Cell can't be shared between threads"],
    );
    finds("config/a.rs", "use std::sync::Arc; // an Rcell", &[]);
    let twice = LIB.replace("//! text ", "//! text  api ");
    assert_eq!(violations(&twice, &[]), ["api stands in the map twice"]);
    assert_eq!(violations(&LIB.replace("//! text           formats\n", ""), &[]), ["text is not in the map"]);
}
