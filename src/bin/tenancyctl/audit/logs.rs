//! Access logs, and Prometheus's query log: a line is a request, or a query.
//!
//! ```text
//! line = JSON with "path" (or "uri", "url", "request"), or with params.query (Prometheus's query log)
//!      / … "GET /api/v1/query?query=up HTTP/1.1" …            (common and combined log format, Envoy's default)
//!      / … param_query="up" …                                 (the query-frontend of Cortex and Mimir)
//! ```

use super::judge::Asked;
use super::{Found, Item};
use serde_json::Value;

/// Whether it is a log; its requests.
pub fn read(text: &str, before: &str, found: &mut Found) -> bool {
    let (mut items, mut others) = (Vec::new(), 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match request(line) {
            Some(asked) => items.push(Item { place: format!("{before}line {}", number + 1), asked }),
            None => others += 1,
        }
    }
    if items.is_empty() {
        return false;
    }
    found.unread_lines += others;
    found.items.extend(items);
    true
}

fn request(line: &str) -> Option<Asked> {
    if line.trim_start().starts_with('{')
        && let Ok(json) = serde_json::from_str::<Value>(line)
    {
        return of_json(&json);
    }
    if let Some(query) = quoted_after(line, "param_query=") {
        return Some(Asked::LoggedQuery(query));
    }
    line.split('"').find_map(of_request_line)
}

fn of_json(json: &Value) -> Option<Asked> {
    if let Some(query) = json.pointer("/params/query").and_then(Value::as_str) {
        return Some(Asked::LoggedQuery(query.to_owned()));
    }
    if let Some(query) = json.get("param_query").and_then(Value::as_str) {
        return Some(Asked::LoggedQuery(query.to_owned()));
    }
    let text = |name: &&str| json.get(*name).and_then(Value::as_str);
    let method = ["method", "request_method", "requestMethod"].iter().find_map(text).unwrap_or("GET");
    if let Some(asked) = ["request", "message", "msg"].iter().filter_map(text).find_map(of_request_line) {
        return Some(asked);
    }
    let names = ["path", "uri", "url", "request_uri", "requestURI", "request_path", "x-envoy-original-path"];
    let path = names.iter().filter_map(text).find(|path| path.starts_with('/') || path.contains("://"))?;
    target(method, path)
}

/// `GET /path HTTP/1.1`
fn of_request_line(text: &str) -> Option<Asked> {
    let mut words = text.trim().splitn(3, ' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    if !version.starts_with("HTTP/") || !method.chars().all(|char| char.is_ascii_uppercase()) {
        return None;
    }
    target(method, path)
}

fn target(method: &str, path: &str) -> Option<Asked> {
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.get(rest.find('/')?..)?,
        None => path,
    };
    let is_of_the_api = path.contains("/api/v1/") || path.starts_with("/federate") || path.contains("/federate?");
    is_of_the_api.then(|| Asked::Request { method: method.to_owned(), target: path.to_owned() })
}

/// A text in quotes, with Go's escapes.
fn quoted_after(line: &str, key: &str) -> Option<String> {
    let rest = line.get(line.find(key)? + key.len()..)?;
    let Some(inner) = rest.strip_prefix('"') else {
        return rest.split(' ').next().map(str::to_owned);
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_logs_are_requests() {
        let get = |target: &str| Some(Asked::Request { method: "GET".to_owned(), target: target.to_owned() });
        for (line, expected) in [
            (
                r#"[2026-11-29T10:00:00Z] "GET /api/v1/query?query=up HTTP/1.1" 200 - 0 12"#,
                get("/api/v1/query?query=up"),
            ),
            (
                r#"{"method":"GET","path":"/prometheus/api/v1/labels?x=1","status":200}"#,
                get("/prometheus/api/v1/labels?x=1"),
            ),
            (r#"{"request":"GET /federate?match[]=up HTTP/2","status":200}"#, get("/federate?match[]=up")),
            (r#"{"url":"https://host/api/v1/series?match[]=up"}"#, get("/api/v1/series?match[]=up")),
            (r#"{"params":{"query":"up","step":1},"stats":{}}"#, Some(Asked::LoggedQuery("up".to_owned()))),
            (
                r#"level=info msg="query stats" param_query="up{job=\"a\"}" param_time=1"#,
                Some(Asked::LoggedQuery("up{job=\"a\"}".to_owned())),
            ),
            (r#""GET /metrics HTTP/1.1" 200"#, None),
            ("a sentence", None),
        ] {
            assert_eq!(request(line), expected, "{line}");
        }
    }
}
