//! What the shipped bootstrap sets for real clients and sizes. Each setting does what its comment says, and without it a client fails.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, form};
use crate::support::{recorded, stub, unique};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

/// What a client sends and receives on one connection, byte by byte.
fn raw(envoy: &Envoy, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, envoy.port())).unwrap();
    stream.set_read_timeout(Some(crate::support::http::PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end..].to_vec())
}

fn unzipped(bytes: &[u8]) -> String {
    let mut child = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The body of an answer in chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|window| window == b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[line + 2..line + 2 + size]);
        chunks = &chunks[line + 2 + size + 2..];
    }
}

#[test]
fn answers_are_compressed_for_clients_that_ask_for_it() {
    let series: Vec<String> =
        (0..400).map(|n| format!(r#"{{"__name__":"up","tenant_id":"team-a","pod":"a-{n}"}}"#)).collect();
    let body = format!(r#"{{"status":"success","data":[{}]}}"#, series.join(","));
    let ask = |accepts: &str| {
        let id = unique();
        let request = format!(
            "GET /api/v1/series?match[]=up HTTP/1.1\r\nhost: x\r\nthanos-tenant: team-a\r\nx-e2e-id: {id}\r\n{}: say {body}\r\n\
             {accepts}connection: close\r\n\r\n",
            crate::support::stub::BEHAVIOUR
        );
        let answer = raw(recorded(), &request);
        let seen = stub().seen(&id);
        assert!(seen.len() == 1 && !seen[0].has("accept-encoding"), "{seen:?}");
        answer
    };
    let (head, plain) = ask("");
    assert!(!head.contains("content-encoding"), "{head}");
    assert_eq!(joined(&plain), body.as_bytes());
    let (head, small) = ask("accept-encoding: gzip\r\n");
    assert!(head.contains("content-encoding: gzip") && head.contains("cache-control: private, no-store"), "{head}");
    assert_eq!(unzipped(&joined(&small)), body);
    println!("{} bytes, {} compressed", body.len(), small.len());
    assert!(small.len() * 4 < body.len(), "{} of {}", small.len(), body.len());
}

#[test]
fn a_url_as_long_as_grafana_s_is_read() {
    // 82 KB, as it was seen.
    let pods: Vec<String> = (0..4_000).map(|n| format!("shop-frontend-{n:05}")).collect();
    let selector = format!("kube_pod_info{{pod=~\"{}\"}}", pods.join("|"));
    let target = format!("/api/v1/label/pod/values?{}", form(&[("match[]", &selector)]));
    assert!((80_000..100_000).contains(&target.len()), "{}", target.len());
    let id = unique();
    let request = Request::get(&target).tenant("team-a").header("x-e2e-id", &id);
    let answer = request.send(recorded().port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stub().seen(&id);
    assert!(seen.len() == 1 && seen[0].target.contains("tenant_id"));
    let default =
        Setup::shipped(stub().port).replace("          max_request_headers_kb: 256\n", "").start("envoy-headers");
    assert_eq!(request.send(default.port()).status, 431);
}

#[test]
fn http_1_0_is_spoken() {
    let id = unique();
    let request =
        format!("GET /api/v1/query?query=up HTTP/1.0\r\nhost: x\r\nthanos-tenant: team-a\r\nx-e2e-id: {id}\r\n\r\n");
    let (head, body) = raw(recorded(), &request);
    assert!(head.contains(" 200 ") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(body, br#"{"status":"success","data":[]}"#);
    assert!(stub().seen(&id)[0].target.contains("tenant_id"));
    let default =
        Setup::shipped(stub().port).replace("accept_http_10: true", "accept_http_10: false").start("envoy-http10");
    assert!(raw(&default, &request).0.contains(" 426 "));
}

/// The shipped bootstrap leaves slashes as they are, so that the filter's refusal says what is wrong with the URL of the data source. An
/// operator may have Envoy merge them: what is then enforced is what the upstream gets.
#[test]
fn slashes_may_be_merged_before_the_filter() {
    let id = unique();
    let request = Request::get("//api//v1/query?query=up").tenant("team-a").header("x-e2e-id", &id);
    let refused = request.send(recorded().port());
    assert!(refused.status == 400 && refused.text().contains("it holds an empty segment"), "{}", refused.text());
    assert!(stub().seen(&id).is_empty());
    let merging =
        Setup::shipped(stub().port).replace("merge_slashes: false", "merge_slashes: true").start("envoy-slashes");
    assert_eq!(request.send(merging.port()).status, 200);
    let seen = stub().seen(&id);
    assert!(seen.len() == 1 && seen[0].path() == "/api/v1/query" && seen[0].target.contains("tenant_id"), "{seen:?}");
}

/// Envoy's own cors filter is how an operator allows other sites: it stands before the tenancy filter, which removes the upstream's headers.
#[test]
fn envoy_s_cors_filter_allows_other_sites() {
    let cors = "          - name: envoy.filters.http.cors\n            typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors }\n";
    let policy = "              typed_per_filter_config:\n                envoy.filters.http.cors:\n                  \"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy\n                  allow_origin_string_match: [{ exact: https://grafana.example }]\n                  allow_methods: GET\n";
    const FILTERS: &str = "          http_filters:\n";
    const HOSTS: &str = "              domains: [\"*\"]\n";
    let envoy = Setup::shipped(stub().port)
        .replace(FILTERS, &format!("{FILTERS}{cors}"))
        .replace(HOSTS, &format!("{HOSTS}{policy}"))
        .start("envoy-cors");
    let from = |origin: &str, request: Request| request.header("origin", origin).send(envoy.port());
    let get = || Request::get("/api/v1/query?query=up").tenant("team-a");
    let allowed =
        |answer: &crate::support::http::Response| format!("{:?}", answer.headers).contains("https://grafana.example");
    assert!(allowed(&from("https://grafana.example", get())));
    assert!(!allowed(&from("https://elsewhere.example", get())));
    let preflight = Request::new("OPTIONS", "/api/v1/query").header("access-control-request-method", "GET");
    let answer = from("https://grafana.example", preflight);
    assert!(answer.status == 200 && allowed(&answer), "{answer:?}");
}
