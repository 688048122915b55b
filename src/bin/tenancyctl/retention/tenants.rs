//! Whose data may be deleted from a Prometheus, and by which selector: only what has the tenant's own value of the tenant label, and only
//! where no other tenant can see the same series.

use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::limits::Limit;
use promql_tenancy_filter::scope::{Fit, Scope};
use promql_tenancy_filter::tenant::Tenants;

/// Why nothing is deleted, whoever asks.
pub fn refusal(config: &Config) -> Option<&'static str> {
    if !config.enforces() {
        return Some("enforce_tenancy is off: the tenant label says nothing about whose a series is");
    }
    if config.view().is_some() {
        return Some("tenant_regex makes this a view of many tenants, which owns nothing");
    }
    None
}

/// How old the tenant's data may grow, in milliseconds; `None` where it may grow old.
pub fn retention(config: &Config, id: &str) -> Option<i64> {
    config.limits().one(id, Limit::Retention)
}

/// The selector of a tenant's series.
pub fn selector(config: &Config, id: &str) -> Result<Scope, String> {
    let tenants = Tenants::one(id.as_bytes(), config.format()).map_err(|error| format!("no valid tenant: {error}"))?;
    if tenants.single() != Some(id) {
        return Err("no single tenant".to_owned());
    }
    if !config.allows(id) {
        return Err("allowed_tenants does not name it".to_owned());
    }
    for (other, scope) in config.own_scopes() {
        if other == id {
            return Err(
                "it has a selector of its own (tenant_selectors), which may match another tenant's series".to_owned()
            );
        }
        if may_match(scope, config.label(), id) {
            return Err(format!("the selector of {other} (tenant_selectors) may match its series"));
        }
    }
    let on_conflict = promql_tenancy_filter::scope::OnConflict::Reject;
    Ok(Scope::equal(config.label().clone(), id.into(), on_conflict))
}

/// Whether a series with this value of the tenant label can be inside. Where that is not certain, it can.
fn may_match(scope: &Scope, label: &str, id: &str) -> bool {
    let Ok(inside) = scope.inside() else { return true };
    let Some(place) = inside.find(|name| name == label) else { return true };
    match inside.fit(place, id) {
        Fit::Refused => false,
        Fit::Exact | Fit::Accepted => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        Config::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_selector_names_one_tenant_exactly() {
        let config = config(
            r#"{"tenant_federation": {"enabled": true}, "shared_tenants": ["common"], "tenant_label_name": "team"}"#,
        );
        // Neither the shared tenants nor the form that federation has.
        assert_eq!(selector(&config, "a").unwrap().written(), r#"team="a""#);
        for id in ["a|b", "", "a\"} or {x", ".*"] {
            let found = selector(&config, id).map(|scope| scope.written().to_owned());
            assert!(found.is_err() || found == Ok(format!("team={id:?}")), "{id}: {found:?}");
        }
        assert!(selector(&config, "a|b").is_err() && selector(&config, "").is_err());
    }

    #[test]
    fn what_another_tenants_selector_may_match_is_left_out() {
        let config =
            config(r#"{"tenant_selectors": {"shop": "{namespace=~\"shop-.*\"}"}, "allowed_tenants": ["shop", "a"]}"#);
        assert!(selector(&config, "shop").unwrap_err().contains("of its own"));
        assert!(selector(&config, "a").unwrap_err().contains("the selector of shop"));
    }

    #[test]
    fn selectors_that_exclude_the_tenant_by_its_label_do_not_matter() {
        let config = config(r#"{"tenant_selectors": {"shop": "{tenant_id=~\"shop-eu|shop-us\"}"}}"#);
        assert!(selector(&config, "a").is_ok());
        assert!(selector(&config, "shop-eu").is_err());
    }

    #[test]
    fn nothing_is_deleted_where_the_label_says_nothing() {
        assert!(refusal(&config(r#"{"enforce_tenancy": false}"#)).is_some());
        assert!(refusal(&config(r#"{"upstream": "cortex"}"#)).is_some());
        assert!(refusal(&config("{}")).is_none());
    }

    #[test]
    fn zero_and_no_setting_keep_everything() {
        let config = config(
            r#"{"limits": {"retention_period": "30d"}, "overrides": {"a": {"retention_period": "0"}, "b": {}}}"#,
        );
        assert_eq!(retention(&config, "a"), None);
        assert_eq!(retention(&config, "b"), Some(30 * 86_400_000));
        let config = self::config(r#"{"overrides": {"a": {"retention_period": "1d"}}}"#);
        assert_eq!((retention(&config, "a"), retention(&config, "b")), (Some(86_400_000), None));
    }
}
