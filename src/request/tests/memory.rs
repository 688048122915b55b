//! What is remembered of earlier requests is nobody's but theirs, and changes nothing.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_one_tenant_asked_again_and_again_is_another_s_with_their_own_matcher() {
    let config = config("{}");
    for round in 0..4 {
        for tenant in ["team-a", "team-b", "team-a|team-b", "team"] {
            for asked in ["up", "sum%28rate%28up%5B5m%5D%29%29", "up%7Btenant_id%3D%22team-b%22%7D"] {
                let target = format!("/api/v1/query?query={asked}&time={round}");
                let Ok(sent) = Request::get(target).tenant(tenant).send(&config) else {
                    assert!(tenant.contains('|'));
                    continue;
                };
                let query = values(&sent, "query").remove(0);
                assert_eq!(query.matches("tenant_id").count(), 1, "{query}");
                assert!(query.contains(&format!(r#"up{{tenant_id="{tenant}"}}"#)), "{query}");
            }
        }
    }
}
