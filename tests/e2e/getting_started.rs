//! A newcomer's first ten minutes: docs/getting-started.md, whose pieces are pasted into the configuration of an Envoy without the filter, and
//! `make run` with each upstream.

use crate::support::http::Request;
use crate::support::process::{self, Process};
use crate::support::prometheus;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A listener, a route and a cluster. `FILTERS` stands before the router.
const ENVOY: &str = r#"
static_resources:
  listeners:
  - name: main
    per_connection_buffer_limit_bytes: 2097152
    address: { socket_address: { address: 127.0.0.1, port_value: LISTEN } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          http_filters:
FILTERS
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - { name: main, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: upstream } }] }
  clusters:
  - name: upstream
    type: STRICT_DNS
    load_assignment:
      cluster_name: upstream
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: UPSTREAM } } } }] }]
"#;

#[test]
fn guide_leads_to_an_enforced_query() {
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md")).unwrap();
    let (_, block) = guide.split_once("```yaml\n").expect("the filter");
    let (block, rest) = block.split_once("```").expect("its end");
    let setting = "per_connection_buffer_limit_bytes: 2097152";
    assert!(rest.contains(setting) && ENVOY.contains(setting), "the guide says what else belongs to the listener");
    let (_, stats) = rest.split_once("```yaml\n").expect("the tags of stats");
    let (stats, _) = stats.split_once("```").expect("their end");
    let filter: String = block.lines().map(|line| format!("          {line}\n")).collect();
    let module = process::program("TENANCY_WASM");
    let port = process::free_port();
    let yaml = ENVOY
        .replace("FILTERS\n", &filter)
        .replace("/etc/envoy/promql_tenancy_filter.wasm", module.to_str().unwrap())
        .replace("LISTEN", &port.to_string())
        .replace("UPSTREAM", &prometheus().upstream.port().to_string());
    let path = process::folder().join("getting-started.yaml");
    std::fs::write(&path, format!("{stats}{yaml}")).unwrap();
    #[cfg(feature = "cli")]
    {
        let check = Command::new(env!("CARGO_BIN_EXE_tenancyctl")).arg("check").arg(&path).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
    let mut command = Command::new(process::program("TENANCY_ENVOY"));
    command.arg("--config-path").arg(&path).args(["--disable-hot-restart", "--concurrency", "1"]);
    let envoy = Process::start("envoy-getting-started", command);
    envoy.wait_until(|| Request::get("/").try_send(port).is_some());
    assert!(envoy.log().contains(": configuration accepted"), "{}", envoy.log());

    // The commands in step 4 of the guide.
    for query in
        ["count+by+(tenant_id)+(temperature)", "count+by+(tenant_id)+(temperature%7Btenant_id=%22team-b%22%7D)"]
    {
        let time = crate::support::data::end();
        let answer = Request::get(&format!("/api/v1/query?query={query}&time={time}")).tenant("team-a").send(port);
        let result = answer.json()["data"]["result"].clone();
        assert_eq!(result.as_array().unwrap().len(), 1, "{result}");
        assert_eq!(result[0]["metric"]["tenant_id"], "team-a", "{result}");
    }
    Request::get("/api/v1/query?query=up").send(port).refused(401);
    Request::get("/api/v1/targets").tenant("team-a").send(port).refused(403);
}

/// `make run`, on ports of its own, as soon as it has said everything.
struct Demo {
    process: Process,
    ports: Vec<(&'static str, u16)>,
}

impl Demo {
    fn start(upstream: &str) -> Demo {
        let names = ["LISTEN", "ADMIN", "PAGES", "PAGES_ADMIN", "PROMETHEUS", "ALERTS", "ALERTMANAGER"];
        let ports: Vec<_> = names.into_iter().map(|name| (name, process::free_port())).collect();
        // It stops what it started when it is told to, so that is what happens where the tests are killed.
        // Ctrl-C counts, also where the tests were started in the background of a shell, which has it ignored.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT", "setpriv", "--pdeathsig", "TERM", "--"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/run"));
        command.env("UPSTREAM", upstream).env("PROMETHEUS_FROM", "go");
        command.envs(ports.iter().map(|(name, port)| (format!("{name}_PORT"), port.to_string())));
        let demo = Demo { process: Process::start(&format!("make-run-{upstream}"), command), ports };
        demo.process.used();
        // It may have to build the module.
        demo.process.wait_at_most(Duration::from_secs(180), || demo.process.log().contains("Ctrl-C stops everything."));
        demo
    }

    fn port(&self, name: &str) -> u16 {
        self.ports.iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// What was answered to the command below this title.
    fn answer(&self, title: &str) -> String {
        let log = self.process.log();
        let (_, rest) = log.split_once(&format!("\n# {title}")).unwrap_or_else(|| panic!("{title}: {log}"));
        let lines = rest.lines().skip(2).take_while(|line| line.starts_with("    "));
        lines.map(|line| format!("{}\n", line.trim())).collect()
    }

    fn ends_after(&self, signal: i32) -> bool {
        self.process.signal(signal);
        self.process.ends_within(Duration::from_secs(30)).is_some()
    }

    fn stop(&self) {
        assert!(self.ends_after(libc::SIGINT), "{}", self.process.log());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.process.ended().is_none() {
            self.ends_after(libc::SIGTERM);
        }
    }
}

/// What it promises for every upstream: each line that it prints was tried, and Ctrl-C leaves nothing behind.
fn promises(upstream: &str) -> Demo {
    let demo = Demo::start(upstream);
    for (title, own, other) in [
        ("team-a sees its own services", "checkout", "ledger"),
        ("team-b, with the same query", "ledger", "checkout"),
        ("team-a asks for team-b's series", "\"4\"", "ledger"),
        ("... or in an aggregation's parameter", "\"1\"", "\"4\""),
        ("team-b's 90th percentile", "ledger", "checkout"),
        ("an alert of team-a fires", "HighErrorRatio", "team-b"),
        ("team-b has the same rule, and no alert", "\"result\":[]", "HighErrorRatio"),
        ("a path that can't be scoped to a tenant is refused", "403", "success"),
        ("a query that can't be read is refused", "400", "success"),
        ("nobody in particular is refused", "401", "success"),
        ("Envoy's stats of each tenant", "tenant=\"team-b\"", "tenant=\"platform\""),
        ("Alertmanager for both: team-a sees its own alerts", "shop of team-a", "team-b"),
        ("team-b lists its silences", "\"team-b\"", "team-a"),
        ("team-a has none", "[]", "team-b"),
    ] {
        let answer = demo.answer(title);
        // Cortex's own series carry no tenant, so the query of another's tells it by what it counts.
        let own = if upstream == "cortex" && own == "\"4\"" { "checkout" } else { own };
        assert!(answer.contains(own) && !answer.contains(other), "{upstream}: {title}: {answer}");
    }
    demo
}

/// Ctrl-C, after which nothing listens.
fn ends(demo: &Demo) {
    demo.stop();
    let log = demo.process.log();
    let (_, folder) = log.split_once("Logs and the access log: ").unwrap();
    let folder = folder.split("/*.log").next().unwrap();
    assert!(!Path::new(folder).exists(), "{folder}");
    for (name, port) in &demo.ports {
        assert!(TcpStream::connect(("127.0.0.1", *port)).is_err(), "{name}: {port} answers");
    }
}

#[test]
fn make_run_shows_prometheus_and_its_pages() {
    let demo = promises("prometheus");
    let page = Request::get("/t/team-a/query").send(demo.port("PAGES"));
    assert!(page.status == 200 && page.text().contains("<title>team-a &middot; Prometheus"), "{}", page.text());
    ends(&demo);
}

#[test]
fn make_run_shows_thanos_and_its_pages() {
    let demo = promises("thanos");
    assert_eq!(demo.answer("a browser without a tenant"), "href=\"/t/team-a/graph\"\nhref=\"/t/team-b/graph\"\n");
    let page = Request::get("/t/team-a/graph").send(demo.port("PAGES"));
    assert!(page.status == 200 && page.text().contains("<title>team-a &middot; Thanos"), "{}", page.text());
    let asked = Request::get("/t/team-b/api/v1/query?query=count+by+(job)+(up)").send(demo.port("PAGES"));
    assert!(asked.text().contains("ledger") && !asked.text().contains("checkout"), "{}", asked.text());
    ends(&demo);
}

#[test]
fn make_run_shows_cortex_and_says_why_there_are_no_pages() {
    let demo = promises("cortex");
    assert!(demo.process.log().contains("Web pages: none, since Cortex has none of a tenant's own"));
    // The platform's series are a tenant of their own.
    let asked = |tenant: &str| {
        let request = Request::get("/prometheus/api/v1/query?query=count+by+(job)+(up)").tenant(tenant);
        request.send(demo.port("LISTEN")).text()
    };
    assert!(asked("platform").contains("node") && !asked("platform").contains("api"), "{}", asked("platform"));
    assert!(asked("team-c").contains("\"result\":[]"), "{}", asked("team-c"));
    ends(&demo);
}
