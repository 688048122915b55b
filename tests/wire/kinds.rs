//! The messages that are written anew, by the names of their kinds.

use promql_tenancy_filter::wire::labels::{Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::{Error, Message, read};
use promql_tenancy_filter::wire::remote_read::ReadRequest;
use promql_tenancy_filter::wire::thanos::*;

pub const QUERY: &[u8] = br#"up{tenant_id="team-a"}"#;
pub const TENANT: Matcher<'static> = Matcher { operator: Operator::Equal, name: b"tenant_id", value: b"team-a" };

/// Reads a message, edits it as `edit` of `oracle/kinds.go` does, and writes it.
type Rewrite = fn(&[u8]) -> Result<Vec<u8>, Error>;

macro_rules! same {
    ($message:ident) => {
        |bytes| written(&read::<$message>(bytes)?)
    };
}

/// Each kind, what the test makes of it, and what is made of it unedited.
pub const KINDS: [(&str, Rewrite, Rewrite); 13] = [
    (
        "ReadRequest",
        |bytes| {
            let mut request: ReadRequest = read(bytes)?;
            request.queries.iter_mut().for_each(|query| query.matchers.push(TENANT));
            written(&request)
        },
        same!(ReadRequest),
    ),
    ("QueryRequest", |bytes| written(&QueryRequest { query: QUERY, ..read(bytes)? }), same!(QueryRequest)),
    (
        "QueryRangeRequest",
        |bytes| written(&QueryRangeRequest { query: QUERY, ..read(bytes)? }),
        same!(QueryRangeRequest),
    ),
    (
        "SeriesRequest",
        |bytes| {
            let mut request: SeriesRequest = read(bytes)?;
            request.matchers.push(TENANT);
            written(&request)
        },
        same!(SeriesRequest),
    ),
    (
        "LabelNamesRequest",
        |bytes| {
            let mut request: LabelNamesRequest = read(bytes)?;
            request.matchers.push(TENANT);
            written(&request)
        },
        same!(LabelNamesRequest),
    ),
    (
        "LabelValuesRequest",
        |bytes| {
            let mut request: LabelValuesRequest = read(bytes)?;
            request.matchers.push(TENANT);
            written(&request)
        },
        same!(LabelValuesRequest),
    ),
    ("LabelNamesResponse", without_warnings, same!(NamesResponse)),
    ("LabelValuesResponse", without_warnings, same!(NamesResponse)),
    ("ExemplarsRequest", |bytes| written(&ExemplarsRequest { query: QUERY, ..read(bytes)? }), same!(ExemplarsRequest)),
    ("RulesRequest", same!(RulesRequest), same!(RulesRequest)),
    ("TargetsRequest", same!(TargetsRequest), same!(TargetsRequest)),
    ("InfoRequest", same!(InfoRequest), same!(InfoRequest)),
    (
        "InfoResponse",
        |bytes| written(&InfoResponse { metric_metadata: None, status: None, ..read(bytes)? }),
        same!(InfoResponse),
    ),
];

fn without_warnings(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    written(&NamesResponse { warnings: Vec::new(), ..read(bytes)? })
}

fn written(message: &dyn Message<'_>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    message.write(&mut out);
    Ok(out)
}
