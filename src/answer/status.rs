//! What an error's status says, where the upstream, or a proxy before it, did not say it in an error object of Prometheus's shape.
//!
//! ```text
//! sentence = "the " author " answered " status [ " " reason phrase ] ": " what happened "; " what to do
//! author   = "upstream" / "proxy"
//! ```
//!
//! The words of `errorType` are those of `errorType` in Prometheus 3.16's web/api/v1/api.go; `unauthorized`, `forbidden` and
//! `too_many_requests` are this filter's own.

/// Who has made an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The upstream, or a proxy before it.
    Upstream,
    /// This proxy: its router, its connection manager, or another of its filters.
    Proxy,
}

impl Author {
    /// Reads `response.code_details` of Envoy. Its router calls an upstream's answer `via_upstream` (`ResponseCodeDetailValues` in Envoy 1.40.0's
    /// envoy/stream_info/stream_info.h). Its cache filters give answers that an upstream has made once, and begin their details with `cache.`
    /// (source/extensions/filters/http/cache/cache_filter.cc). Whatever else answers is a part of the proxy, which knows nothing of tenants'
    /// data. Where nothing is known, the answer is taken for the upstream's.
    pub fn of(details: Option<&[u8]>) -> Author {
        match details {
            None | Some(b"" | b"via_upstream") => Author::Upstream,
            Some(details) if details.starts_with(b"cache.") => Author::Upstream,
            Some(_) => Author::Proxy,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Author::Upstream => "upstream",
            Author::Proxy => "proxy",
        }
    }
}

/// What is known of a status: its reason phrase, its `errorType`, what happened and what to do.
type Row = (u16, &'static str, &'static str, &'static str);

const TABLE: &[Row] = &[
    (400, "Bad Request", "bad_data", "it could not read the request; check the query and its parameters"),
    (401, "Unauthorized", "unauthorized", "it asks for other credentials; authenticate, or ask the operator"),
    (403, "Forbidden", "forbidden", "it, or a proxy before it, does not allow the request; ask the operator"),
    (
        404,
        "Not Found",
        "not_found",
        "it does not serve this path; check the path, or ask the operator to check the upstream's prefix",
    ),
    (405, "Method Not Allowed", "bad_data", "it does not take this method here; use another one, or ask the operator"),
    (
        406,
        "Not Acceptable",
        "not_acceptable",
        "it can't answer in a form that the client accepts; check the header accept",
    ),
    (408, "Request Timeout", "timeout", "the request took too long to arrive; try again"),
    (413, "Payload Too Large", "bad_data", "the request, or what it asks for, is too large; ask for less"),
    (414, "URI Too Long", "bad_data", "the URL is too long; send a form with POST"),
    (422, "Unprocessable Content", "execution", "it could not run the query; check the query, or ask for less"),
    (429, "Too Many Requests", "too_many_requests", "a limit of requests is reached; try again later"),
    (431, "Request Header Fields Too Large", "bad_data", "the URL or the headers are too long; send a form with POST"),
    (499, "Client Closed Request", "canceled", "the request was canceled; try again"),
    (500, "Internal Server Error", "internal", "it failed; try again, or ask the operator"),
    (502, "Bad Gateway", "unavailable", "what is behind it can't be reached; try again, or ask the operator"),
    (503, "Service Unavailable", "unavailable", "it may be starting or overloaded; try again, or ask the operator"),
    (504, "Gateway Timeout", "timeout", "it took too long; ask for a shorter time range or less data, or try again"),
];

/// Any other status.
const OTHER_3XX: Row = (0, "", "internal", "it sends the request elsewhere; ask the operator");
const OTHER_4XX: Row = (0, "", "bad_data", "it refused the request; check the request, or ask the operator");
const OTHER: Row = (0, "", "internal", "it failed; try again, or ask the operator");

/// Whether HTTP forbids a body with this status.
pub fn forbids_body(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

/// Prometheus's `errorType`.
pub fn error_type(status: u16) -> &'static str {
    row(status).2
}

/// What happened, and what to do. Needs no escape in JSON.
pub fn sentence(status: u16, author: Author) -> String {
    saying(status, author, row(status).3)
}

/// The status, and what its author says of it.
pub fn saying(status: u16, author: Author, what: &str) -> String {
    ["the ", author.name(), " answered ", &name(status), ": ", what].concat()
}

/// The status and its reason phrase.
pub fn name(status: u16) -> String {
    match row(status).1 {
        "" => status.to_string(),
        phrase => [&status.to_string(), " ", phrase].concat(),
    }
}

fn row(status: u16) -> &'static Row {
    let other = match status {
        300..=399 => &OTHER_3XX,
        400..=499 => &OTHER_4XX,
        _ => &OTHER,
    };
    TABLE.iter().find(|(of, ..)| *of == status).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_details_that_name_neither_an_upstream_nor_a_cache_are_the_proxy_s() {
        for details in [None, Some(""), Some("via_upstream"), Some("cache.response_from_cache_filter")] {
            assert_eq!(Author::of(details.map(str::as_bytes)), Author::Upstream, "{details:?}");
        }
        for details in ["no_healthy_upstream", "upstream_response_timeout", "request_overall_timeout", "lua_response"] {
            assert_eq!(Author::of(Some(details.as_bytes())), Author::Proxy, "{details}");
        }
    }

    #[test]
    fn every_status_has_a_sentence_that_names_it() {
        for status in 0..1000 {
            let sentence = sentence(status, Author::Upstream);
            assert!(sentence.contains(&status.to_string()) && sentence.len() < 200, "{sentence}");
            assert_eq!(serde_json::to_string(&sentence).unwrap().len(), sentence.len() + 2, "no escape is needed");
            assert!(super::super::messages::is_word(error_type(status).as_bytes()));
        }
        assert_eq!(
            sentence(503, Author::Upstream),
            "the upstream answered 503 Service Unavailable: it may be starting or overloaded; try again, or ask the operator"
        );
        assert_eq!(
            sentence(418, Author::Proxy),
            "the proxy answered 418: it refused the request; check the request, or ask the operator"
        );
        assert_eq!((error_type(418), error_type(507), error_type(302)), ("bad_data", "internal", "internal"));
    }
}
