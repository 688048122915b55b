//! What is asked in PromQL. The queries that reach for the other tenant's data do it wherever a selector can stand.

use super::check::Expect;
use super::data::Pair;
use serde_json::Value;

/// A query, what it tries, and what is expected.
pub struct Query {
    pub what: &'static str,
    pub text: String,
    pub expect: Expect,
    /// The few that every endpoint is asked; the others are for `query` alone.
    pub is_basic: bool,
}

/// A matcher on the tenant label.
pub fn matcher(pair: &Pair<'_>, operator: &str, value: &str) -> String {
    let is_word = pair.label.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    let label = if is_word { pair.label.to_owned() } else { Value::from(pair.label).to_string() };
    format!("{label}{operator}{}", Value::from(value))
}

/// The selector with one more matcher.
pub fn with(selector: &str, matcher: &str) -> String {
    match selector.strip_suffix('}') {
        Some(open) => format!("{open},{matcher}}}"),
        None => format!("{selector}{{{matcher}}}"),
    }
}

pub fn all(pair: &Pair<'_>) -> Vec<Query> {
    let own = &pair.own.own;
    let name = Value::from(&*pair.own.metric).to_string();
    let [id, other] = [&pair.own.id, &pair.other.id].map(String::as_str);
    let asked = |operator, value| with(own, &matcher(pair, operator, value));
    let label = pair.label;
    let mut all = Vec::new();
    let mut add = |is_basic, what, text: String, expect| all.push(Query { what, text, expect, is_basic });

    add(true, "its own series", own.clone(), Expect::Data);
    add(true, "the other tenant by name", asked("=", other), Expect::Anything);
    add(false, "every tenant", asked("=~", ".+"), Expect::Anything);
    add(false, "whoever it is not", asked("!=", id), Expect::Anything);
    add(false, "whoever it is not, by pattern", asked("!~", id), Expect::Anything);
    add(false, "nobody", asked("=", ""), Expect::Anything);
    add(false, "the other tenant, or itself", format!("{} or {own}", asked("=", other)), Expect::Anything);
    add(
        false,
        "the name between braces",
        format!("{{__name__={name},{}}}", matcher(pair, "=", other)),
        Expect::Anything,
    );
    add(false, "any name", format!("{{__name__=~{name},{}}}", matcher(pair, "=~", ".*")), Expect::Anything);
    add(false, "the tenants that there are", format!("group by ({label}) ({})", asked("=~", ".*")), Expect::Anything);
    add(
        false,
        "the tenant under another name",
        format!("label_replace({own}, \"verified\", \"$1\", \"{label}\", \"(.*)\")"),
        Expect::Data,
    );
    add(false, "a subquery", format!("max_over_time({own}[5m:1m])"), Expect::Anything);
    add(false, "an aggregation's parameter of its own", format!("topk(scalar(count({own})), {own})"), Expect::Data);

    let Some(foreign) = &pair.foreign else { return all };
    let of_other = with(foreign, &matcher(pair, "=", other));
    let number = format!("scalar(count({foreign}) or vector(0))");
    let nothing = Expect::Nothing;
    add(true, "what only the other tenant has", foreign.clone(), nothing);
    add(false, "the same by the other tenant's name", of_other.clone(), nothing);
    add(true, "an aggregation's parameter", format!("topk({number}, {own})"), nothing);
    add(false, "the parameter of bottomk", format!("bottomk(scalar(count({of_other}) or vector(0)), {own})"), nothing);
    add(false, "the parameter of quantile", format!("quantile({number} * 2, {own}) == Inf"), nothing);
    add(false, "a count", format!("count({foreign})"), nothing);
    add(false, "an argument", format!("abs({foreign})"), nothing);
    add(false, "a range", format!("count_over_time({foreign}[5m])"), nothing);
    add(false, "a subquery of the other's", format!("count_over_time({foreign}[5m:1m])"), nothing);
    add(false, "a subquery in a subquery", format!("max_over_time(count_over_time({foreign}[5m:1m])[5m:1m])"), nothing);
    add(false, "an offset", format!("{foreign} offset 1m"), nothing);
    add(false, "a fixed time", format!("{foreign} @ end()"), nothing);
    add(false, "an operator's right side", format!("{own} and on() {foreign}"), nothing);
    add(false, "an operator's left side", format!("group({foreign}) and on() vector(1)"), nothing);
    add(false, "a group_left", format!("{own} * on() group_left() group({foreign})"), nothing);
    add(false, "a sign", format!("-({foreign})"), nothing);
    add(false, "a label's values", format!("count_values(\"value\", {foreign})"), nothing);
    add(false, "an or", format!("{foreign} or {of_other}"), nothing);
    add(false, "a histogram's quantile", format!("histogram_quantile({number}, {foreign})"), nothing);
    add(false, "its absence", format!("count(absent({foreign}))"), Expect::Data);
    add(false, "an unless", format!("vector(1) unless on() {foreign}"), Expect::Data);
    add(false, "a scalar", format!("vector({number}) == 0"), Expect::Data);
    all
}
