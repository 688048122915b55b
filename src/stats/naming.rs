//! Writes the tags of a series into the name of a stat.
//!
//! In values, `;`, `=` and `%` are written as `%3B`, `%3D` and `%25`. No value can then be read as another tag, under either naming:
//! Istio's patterns (`(tenant=\.=(.*?);\.;)`) are not anchored. Dots at the end of a value are written as `%2E`, because Envoy removes
//! trailing dots (observed with Envoy 1.40.0). All other characters are unchanged. Different values have different names.

use super::Stat;

/// How tags are written into names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The form that the `stats_config` of `envoy/envoy.yaml` extracts.
    Envoy,
    /// The form that Istio's proxies extract (`extraStatTags`).
    Istio,
}

impl Naming {
    /// The marks before a tag, between its name and its value, and after the last tag.
    fn marks(self) -> [&'static str; 3] {
        match self {
            Naming::Envoy => [";", "=", ";"],
            Naming::Istio => [";.;", "=.=", ";.;"],
        }
    }
}

/// The tags that all series of one tenant and handler share.
pub fn scope(naming: Naming, tenant: &str, handler: &str) -> String {
    let [before, between, after] = naming.marks();
    let mut scope = String::new();
    append(&mut scope, &[before, "tenant", between]);
    write_value(tenant, &mut scope);
    append(&mut scope, &[before, "handler", between, handler, after]);
    scope
}

/// The whole name of a series. `value` is the value of the stat's own tag. `scope` is empty for a stat that is not scoped.
pub fn series(naming: Naming, stat: &Stat, value: &str, scope: &str) -> String {
    let [before, between, after] = naming.marks();
    let mut series = String::from(stat.name);
    if !stat.tag.is_empty() {
        let end = if scope.is_empty() { after } else { "" };
        append(&mut series, &[before, stat.tag, between, value, end]);
    }
    append(&mut series, &[scope]);
    series
}

/// A function of its own, because the module would hold a copy of `concat` for each length of array.
#[inline(never)]
fn append(out: &mut String, texts: &[&str]) {
    for text in texts {
        out.push_str(text);
    }
}

fn write_value(value: &str, out: &mut String) {
    let body = value.trim_end_matches('.');
    for char in body.chars() {
        match char {
            ';' => out.push_str("%3B"),
            '=' => out.push_str("%3D"),
            '%' => out.push_str("%25"),
            char => out.push(char),
        }
    }
    for _ in body.len()..value.len() {
        out.push_str("%2E");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ALL, REQUESTS, TENANTS};
    use proptest::prelude::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn tags_stand_in_the_name() {
        let scope = scope(Naming::Envoy, "team-a.x", "query");
        assert_eq!(scope, ";tenant=team-a.x;handler=query;");
        assert_eq!(
            series(Naming::Envoy, &REQUESTS, "2xx", &scope),
            "tenancy_requests_total;code=2xx;tenant=team-a.x;handler=query;"
        );
        assert_eq!(series(Naming::Envoy, &TENANTS, "", ""), "tenancy_tenants_tracked");
        assert_eq!(
            series(Naming::Envoy, &crate::stats::RELOADS, "success", ""),
            "tenancy_configuration_reloads_total;result=success;"
        );
    }

    #[test]
    fn istio_s_tags_stand_in_its_own_marks() {
        let scope = scope(Naming::Istio, "team-a", "query");
        assert_eq!(
            series(Naming::Istio, &REQUESTS, "2xx", &scope),
            "tenancy_requests_total;.;code=.=2xx;.;tenant=.=team-a;.;handler=.=query;.;"
        );
    }

    #[test]
    fn no_value_forges_a_tag_nor_ends_in_a_dot() {
        let written = |tenant| scope(Naming::Envoy, tenant, "query");
        assert_eq!(written("a;handler=b"), ";tenant=a%3Bhandler%3Db;handler=query;");
        assert_eq!(written("100%"), ";tenant=100%25;handler=query;");
        assert_eq!(written(".a..b.."), ";tenant=.a..b%2E%2E;handler=query;");
        assert_eq!(written("a|\"b\" é\\"), ";tenant=a|\"b\" é\\;handler=query;");
        assert_eq!(written("..."), ";tenant=%2E%2E%2E;handler=query;");
    }

    fn read_back<'s>(series: &'s str, tag: &str, [before, between, after]: [&str; 3]) -> Option<&'s str> {
        // Envoy takes the first match of a pattern that is not anchored.
        let from = series.find(&[before, tag, between].concat())? + before.len() + tag.len() + between.len();
        let rest = series.get(from..)?;
        rest.find(after).and_then(|end| rest.get(..end))
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

        #[test]
        fn tags_are_read_back_and_two_tenants_never_share_a_series(
            a in "[;=.%a2B5E|é\"]{1,12}", b in "[;=.%a2B5E|é\"]{1,12}"
        ) {
            for naming in [Naming::Envoy, Naming::Istio] {
                let written = |tenant: &str| scope(naming, tenant, "query");
                prop_assert_eq!(written(&a) == written(&b), a == b);
                for stat in ALL.iter().filter(|stat| stat.is_scoped) {
                    let series = series(naming, stat, "2xx", &written(&a));
                    prop_assert_eq!(read_back(&series, "handler", naming.marks()), Some("query"));
                    let tenant = read_back(&series, "tenant", naming.marks()).unwrap_or_default();
                    prop_assert!(!tenant.is_empty() && !tenant.ends_with('.') && !tenant.contains([';', '=']));
                    if !stat.tag.is_empty() {
                        prop_assert_eq!(read_back(&series, stat.tag, naming.marks()), Some("2xx"));
                    }
                }
            }
        }
    }
}
