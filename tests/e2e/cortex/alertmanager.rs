//! Cortex's alertmanager, which keeps tenants apart by the header: their silences and alerts.

use crate::support::cortex::Cortex;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request};
use serde_json::{Value as Json, json};

const SILENCES: &str = "/alertmanager/api/v2/silences";
const ALERTS: &str = "/alertmanager/api/v2/alerts";

fn posted(path: &str, body: &Json) -> Request {
    let request = Request::new("POST", path).header("content-type", "application/json");
    Request { body: Body::Sized(body.to_string().into_bytes()), ..request }
}

#[test]
fn silences_and_alerts_are_the_tenant_s_own() {
    let cortex = Cortex::alertmanager("cortex-alertmanager");
    let plugin = json!({"upstream": "cortex", "default_tenant_id": "", "tenant_federation": {"enabled": true}});
    let envoy = Setup::shipped(cortex.port()).plugin(plugin).start("envoy-cortex-alertmanager");
    assert_silences_and_alerts_are_the_tenant_s_own(&cortex, &envoy);
}

pub fn assert_silences_and_alerts_are_the_tenant_s_own(cortex: &Cortex, envoy: &Envoy) {
    let port = envoy.port();
    let of = |tenant: &str, path: &str| {
        let answer = Request::get(path).tenant(tenant).header("x-scope-orgid", "team-b").send(port);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let silence = |comment: &str| {
        json!({"matchers": [{"name": "alertname", "value": "Always", "isRegex": false, "isEqual": true}],
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2126-01-01T00:00:00Z", "createdBy": "a test", "comment": comment})
    };
    // A tenant's alertmanager begins with its first request.
    cortex.wait_until(|| {
        ["team-a", "team-b"].iter().all(|tenant| Request::get(SILENCES).tenant(tenant).send(port).status == 200)
    });
    let mut ids = Vec::new();
    for tenant in ["team-a", "team-b"] {
        let answer = posted(SILENCES, &silence(&format!("comment of {tenant}"))).tenant(tenant).send(port);
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids.push(answer.json()["silenceID"].as_str().unwrap().to_owned());
        let alert = json!([{"labels": {"alertname": format!("AlertOf-{tenant}")}}]);
        let answer = posted(ALERTS, &alert).tenant(tenant).header("x-scope-orgid", "team-b").send(port);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (tenant, other, id, others) in [("team-a", "team-b", &ids[0], &ids[1]), ("team-b", "team-a", &ids[1], &ids[0])]
    {
        let silences = of(tenant, SILENCES).to_string();
        assert!(silences.contains(&format!("comment of {tenant}")) && !silences.contains(other), "{silences}");
        let alerts = of(tenant, ALERTS).to_string();
        assert!(
            alerts.contains(&format!("AlertOf-{tenant}")) && !alerts.contains(&format!("AlertOf-{other}")),
            "{alerts}"
        );
        of(tenant, &format!("{ALERTS}/groups"));
        let one = |method: &str, id: &str| {
            Request::new(method, &format!("/alertmanager/api/v2/silence/{id}")).tenant(tenant).send(port)
        };
        assert_eq!(one("GET", id).status, 200);
        for method in ["GET", "DELETE"] {
            let answer = one(method, others);
            assert!(matches!(answer.status, 404 | 500), "{method}: {} {}", answer.status, answer.text());
            assert!(!answer.text().contains(other), "{}", answer.text());
        }
    }
    // Whose silence was to be deleted has it still, and can delete it.
    let delete = Request::new("DELETE", &format!("/alertmanager/api/v2/silence/{}", ids[1])).tenant("team-b");
    assert_eq!(of("team-b", SILENCES)[0]["status"]["state"], "active");
    assert_eq!(delete.send(port).status, 200);
    assert_eq!(of("team-b", SILENCES)[0]["status"]["state"], "expired");
    assert_eq!(of("team-a", SILENCES)[0]["status"]["state"], "active");

    for path in [SILENCES, ALERTS] {
        let several = Request::get(path).tenant("team-a|team-b").send(port);
        assert_eq!(several.status, 400, "{}", several.text());
    }
    for path in ["/api/v1/alerts", "/multitenant_alertmanager/status", "/multitenant_alertmanager/configs"] {
        let answer = Request::get(path).tenant("team-a").send(port);
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.text());
    }
    envoy.assert_healthy();
}
