//! What GitHub reads below .github/: workflows, judged by actionlint, and issue forms, judged by their documented syntax.

use crate::program::json;
use crate::{files, read, root, scratch};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

const WORKFLOWS: &str = ".github/workflows";
const FORMS: &str = ".github/ISSUE_TEMPLATE";

/// What actionlint has to say. (scripts/lint lets it ask shellcheck as well.)
fn actionlint(file: &Path) -> Result<(), String> {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let output =
            Command::new(root().join("scripts/install-actionlint")).output().expect("scripts/install-actionlint runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a path").trim_end().to_owned()
    });
    let mut command = Command::new(&*PROGRAM);
    let output = command.args(["-no-color", "-shellcheck=", "-pyflakes="]).arg(file).current_dir(root()).output();
    let output = output.expect("actionlint runs");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

fn document(file: &str) -> Value {
    let mut documents = json("documents", &root().join(file));
    assert_eq!(documents.len(), 1, "{file}");
    documents.remove(0)
}

#[test]
fn workflows_are_valid() {
    for file in files(WORKFLOWS, ".yml") {
        actionlint(&root().join(&file)).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn mistakes_in_workflows_are_found() {
    for (number, (name, old, new, problem)) in [
        ("ci.yml", "runs-on: ubuntu-24.04", "runs-on: ubuntu-42.04", "unknown"),
        ("ci.yml", "timeout-minutes:", "timeout-minute:", "unexpected key"),
        ("ci.yml", "hashFiles(", "hashfile(", "undefined function"),
        ("release.yml", "needs: [check, version, module, tenancyctl]", "needs: [check, version, modules]", "modules"),
        ("release.yml", "attestations: write", "attestation: write", "attestation"),
        ("release.yml", "steps.push.outputs.chart }}", "steps.pushed.outputs.chart }}", "pushed"),
        ("release.yml", "subject-checksums:", "subject-checksum:", "subject-checksum"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = read(&format!("{WORKFLOWS}/{name}"));
        assert!(text.contains(old), "{name}: {old}");
        let changed = scratch(&format!("workflow-{number}.yml"), &text.replacen(old, new, 1));
        let found = actionlint(&changed).expect_err(&format!("{name}: {new} is accepted"));
        assert!(found.contains(problem), "{name}, {new}: {found}");
    }
}

#[test]
fn ci_calls_the_script_that_anybody_can_call() {
    let ci = document(&format!("{WORKFLOWS}/ci.yml"));
    let steps = ci["jobs"]["run"]["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["run"], ".ci/run");
    assert!(root().join(".ci/run").exists());
    let release = document(&format!("{WORKFLOWS}/release.yml"));
    assert_eq!(release["jobs"]["check"]["uses"], "./.github/workflows/ci.yml");
    let needed = release["jobs"]["draft"]["needs"].as_array().unwrap();
    for job in release["jobs"].as_object().unwrap().keys().filter(|job| *job != "draft") {
        assert!(needed.contains(&Value::from(job.as_str())), "the draft does not wait for {job}");
    }
}

#[test]
fn only_the_job_that_drafts_may_write_and_it_runs_nothing_of_the_repository() {
    for file in files(WORKFLOWS, ".yml") {
        let workflow = document(&file);
        assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}), "{file}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let uses = |step: &Value, action: &str| step["uses"].as_str().is_some_and(|uses| uses.starts_with(action));
            let steps = job["steps"].as_array().cloned().unwrap_or_default();
            for step in &steps {
                // A version, so that a change of the action does not come unseen.
                if let Some((_, version)) = step["uses"].as_str().map(|uses| uses.split_once('@').expect(uses)) {
                    assert!(
                        version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit()),
                        "{step}"
                    );
                }
                if uses(step, "actions/checkout@") {
                    assert_eq!(step["with"]["persist-credentials"], false, "{file}: {name}");
                    assert!(
                        job.get("permissions").is_none(),
                        "{file}: {name} may write, and has the repository's code"
                    );
                }
            }
            assert!(job.get("permissions").is_none() || name == "draft", "{file}: {name}");
        }
    }
}

#[test]
fn what_is_released_is_what_the_scripts_write() {
    let text = read(&format!("{WORKFLOWS}/release.yml"));
    for script in ["scripts/dist", "scripts/install-helm"] {
        assert!(text.contains(script) && root().join(script).exists(), "{script}");
    }
    let dist = read("scripts/dist");
    assert!(dist.contains("dist/promql-tenancy-filter-$version.oci.tar"));
    assert!(text.contains("oci-archive:dist/promql-tenancy-filter-$VERSION.oci.tar"));
    // What the scripts write for each architecture is renamed, uploaded and described.
    let build = read("scripts/build-native");
    assert!(dist.contains("for architecture in x86_64 aarch64") && build.contains("dist/$architecture/$name"));
    for line in [
        "for architecture in x86_64 aarch64",
        "dist/libpromql_tenancy_filter-$architecture.so",
        "          dist/promql_tenancy_filter.wasm\n",
        "          dist/libpromql_tenancy_filter-*.so\n",
        "          dist/promql_tenancy_filter.cdx.json\n",
        "          dist/libpromql_tenancy_filter.cdx.json\n",
        "          dist/tenancyctl.cdx.json\n",
    ] {
        assert!(text.contains(line), "{line}");
    }
    // Packages are installed by root alone, and the compiler is the one that CI has tested with.
    let [ci, release] = ["ci", "release"].map(|name| document(&format!("{WORKFLOWS}/{name}.yml")));
    assert!(ci["jobs"]["run"]["container"].is_string());
    assert_eq!(release["jobs"]["module"]["container"], ci["jobs"]["run"]["container"]);
    // Keyless: no secret but the job's own token.
    let secrets: BTreeSet<&str> =
        text.split("secrets.").skip(1).map(|rest| rest.split([' ', '}']).next().unwrap()).collect();
    assert_eq!(secrets, BTreeSet::from(["GITHUB_TOKEN"]));
}

/// <https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema>:
/// the attributes that each kind of field may have, and the one that it needs. GitHub shows no form at all that it can't read.
const FIELDS: [(&str, &[&str], &str); 5] = [
    ("markdown", &["value"], "value"),
    ("input", &["label", "description", "placeholder", "value"], "label"),
    ("textarea", &["label", "description", "placeholder", "value", "render"], "label"),
    ("dropdown", &["label", "description", "multiple", "options", "default"], "label"),
    ("checkboxes", &["label", "description", "options"], "label"),
];

fn judge_form(form: &Value) -> Result<BTreeSet<String>, String> {
    let known = ["name", "description", "title", "labels", "assignees", "projects", "type", "body"];
    let object = form.as_object().ok_or("it is no object")?;
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key {key}"));
    }
    for key in ["name", "description"] {
        form[key].as_str().filter(|text| !text.is_empty()).ok_or(format!("no {key}"))?;
    }
    let mut required = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for field in form["body"].as_array().filter(|body| !body.is_empty()).ok_or("no body")? {
        if let Some(key) = field
            .as_object()
            .ok_or("a field is no object")?
            .keys()
            .find(|key| !["type", "id", "attributes", "validations"].contains(&key.as_str()))
        {
            return Err(format!("unknown key {key}"));
        }
        let kind =
            FIELDS.iter().find(|(kind, ..)| field["type"] == *kind).ok_or(format!("unknown type {}", field["type"]))?;
        let attributes = field["attributes"].as_object().ok_or("no attributes")?;
        if let Some(name) = attributes.keys().find(|name| !kind.1.contains(&name.as_str())) {
            return Err(format!("{} has no attribute {name}", kind.0));
        }
        attributes.get(kind.2).and_then(Value::as_str).ok_or(format!("{} needs {}", kind.0, kind.2))?;
        if kind.1.contains(&"options") {
            let options = field["attributes"]["options"].as_array().ok_or("no options")?;
            let distinct: BTreeSet<String> = options.iter().map(Value::to_string).collect();
            if distinct.is_empty() || distinct.len() < options.len() {
                return Err("options have to be there, and differ".to_owned());
            }
        }
        if kind.0 == "markdown" {
            continue;
        }
        let id = field["id"].as_str().ok_or("a field has no id")?;
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_plain || !ids.insert(id) {
            return Err(format!("the id {id} is not plain, or there twice"));
        }
        match field.get("validations") {
            None => {}
            Some(validations) if validations == &serde_json::json!({"required": true}) => {
                required.insert(id.to_owned());
            }
            Some(other) => return Err(format!("validations: {other}")),
        }
    }
    if ids.is_empty() {
        return Err("nothing is asked".to_owned());
    }
    Ok(required)
}

#[test]
fn issue_forms_follow_github_s_syntax() {
    for file in files(FORMS, ".yml").iter().filter(|file| !file.ends_with("/config.yml")) {
        judge_form(&document(file)).unwrap_or_else(|problem| panic!("{file}: {problem}"));
    }
    let config = document(&format!("{FORMS}/config.yml"));
    let keys: Vec<&String> = config.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blank_issues_enabled", "contact_links"]);
}

#[test]
fn mistakes_in_issue_forms_are_found() {
    let text = read(&format!("{FORMS}/bug.yml"));
    for (number, (old, new, problem)) in [
        ("type: textarea", "type: text", "unknown type"),
        ("description: The JSON.", "help: The JSON.", "no attribute help"),
        ("id: envoy", "id: version", "there twice"),
        ("validations: { required: true }", "validations: { require: true }", "validations"),
        ("labels:", "label:", "unknown key label"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(text.contains(old), "{old}");
        let changed = scratch(&format!("form-{number}.yml"), &text.replacen(old, new, 1));
        let found = judge_form(&json("documents", &changed)[0]).expect_err(new);
        assert!(found.contains(problem), "{new}: {found}");
    }
}

#[test]
fn a_bug_report_has_what_is_needed_to_repeat_it() {
    let required = judge_form(&document(&format!("{FORMS}/bug.yml"))).unwrap();
    let needed = ["configuration", "envoy", "expected", "happened", "request", "upstream", "version"];
    assert_eq!(required, needed.map(str::to_owned).into());
    let refusal = judge_form(&document(&format!("{FORMS}/false_refusal.yml"))).unwrap();
    assert!(["request", "refusal", "upstream", "version"].iter().all(|id| refusal.contains(*id)), "{refusal:?}");
}

#[test]
fn links_of_the_forms_lead_somewhere() {
    let mut found = 0;
    for file in files(FORMS, ".yml") {
        for link in read(&file).split("](../blob/main/").skip(1) {
            let target = link.split(')').next().unwrap();
            assert!(root().join(target).exists(), "{file}: {target}");
            found += 1;
        }
    }
    assert!(found > 2, "{found}");
}
