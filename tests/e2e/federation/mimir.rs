//! The same beside a Mimir, which federates as Cortex does.

use super::{BOTH, Made, QUERIES, difference_of, instant, range, series, times, twins};
use crate::generator::Rng;
use crate::support::cortex::Cortex;
use crate::support::data;
use crate::support::http::{Request, Response, form};
use crate::support::mimir;
use serde_json::json;

fn ask(mimir: &Cortex, path: &str, parameters: &str) -> Response {
    Request::get(&format!("/prometheus{path}?{parameters}")).header("x-scope-orgid", BOTH).send(mimir.port())
}

#[test]
fn queries_series_and_labels_have_mimir_s_answers() {
    let twins = twins();
    let mimir = mimir::start("federation-mimir");
    for tenant in data::TENANTS {
        mimir.write(tenant, &series(tenant));
    }
    mimir.wait_until(|| {
        let count = ask(&mimir, "/api/v1/query", &instant("count(up)"));
        count.status == 200 && count.json()["data"]["result"][0]["value"][1] == "6"
    });
    let generated = (1000..1080).map(|seed| {
        let mut made = Made(Rng::new(seed));
        let depth = made.0.pick(&[0, 1, 2, 2, 3]);
        made.vector(depth)
    });
    let (mut asked, mut stricter, mut differences) = (0, 0, Vec::new());
    let mut compare = |path: &str, parameters: &str| {
        let ours = Request::get(&format!("{path}?{parameters}")).tenant(BOTH).send(twins.envoy.port());
        let theirs = ask(&mimir, path, parameters);
        asked += 1;
        // Mimir's own engine says so also where the other side has nothing to match.
        if theirs.status != 200
            && theirs.text().contains("found duplicate series")
            && ours.json()["data"]["result"] == json!([])
        {
            stricter += 1;
            return;
        }
        differences.extend(difference_of(path, parameters, &ours, &theirs));
    };
    for query in QUERIES.iter().map(ToString::to_string).chain(generated) {
        compare("/api/v1/query", &instant(&query));
        compare("/api/v1/query_range", &range(&query));
    }
    for selector in ["up", r#"both{__tenant_id__="team-a"}"#, r#"{original___tenant_id__="stored"}"#] {
        let parameters = format!("{}&{}", form(&[("match[]", selector)]), times());
        for path in ["series", "labels", "label/job/values", "label/__tenant_id__/values", "label/tenant_id/values"] {
            compare(&format!("/api/v1/{path}"), &parameters);
        }
    }
    compare("/api/v1/query_exemplars", &format!("{}&{}", form(&[("query", "http_requests_total")]), times()));
    println!("{asked} answers; Mimir is stricter in {stricter}");
    assert!(asked > 250 && stricter < 10);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
