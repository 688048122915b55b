//! What holds of the filters over any bytes, judged by another reader of JSON. For the fuzz target and for `any_bytes…`.

use promql_tenancy_filter::answer::{Content, Documents, Filter, Labelled, MAX_GROWTH, Owner, Statistics, Unreadable};
use promql_tenancy_filter::scope::{OnConflict, Scope};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

const TENANT: &str = "team-a";
const LABEL: &str = "tenant_id";
const GENERIC: [&str; 6] = [
    "the answer may be incomplete: a warning is withheld",
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's",
    "a message of the upstream is withheld: it may name what is not this tenant's",
    "upstream message withheld",
    "withheld",
    "",
];

/// JSON with every member that is there, those of the same name too.
#[derive(Debug)]
pub enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Json::Object(all))
    }
}

impl Json {
    /// All members whose name some reader takes for this one: Go's doesn't mind the case, also where only Unicode folds it.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Json> {
        let members = if let Json::Object(members) = self { members.as_slice() } else { &[] };
        let folded = |text: &str| text.to_uppercase().to_lowercase();
        members.iter().filter(move |(other, _)| folded(other) == folded(name)).map(|(_, value)| value)
    }

    fn items(&self) -> &[Json] {
        if let Json::Array(items) = self { items } else { &[] }
    }

    fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        self.all(name).map(|value| if let Json::Text(text) = value { Some(text.as_str()) } else { None })
    }
}

/// The chunks begin with `sizes`, and go on with the last of them.
fn stream(filter: Filter, body: &[u8], sizes: &[usize]) -> (Vec<u8>, Option<Unreadable>) {
    stream_growing(filter, MAX_GROWTH, body, sizes)
}

/// How much longer it gets is bounded, at each moment.
fn stream_growing(mut filter: Filter, growth: usize, body: &[u8], sizes: &[usize]) -> (Vec<u8>, Option<Unreadable>) {
    let (mut out, mut at) = (Vec::new(), 0);
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(sizes.last().copied().unwrap_or(usize::MAX)));
    while at < body.len() {
        let to = body.len().min(at.saturating_add(sizes.next().unwrap_or(1).max(1)));
        filter.push(&body[at..to], false, &mut out);
        at = to;
        // What has a fault while it is held back is refused, and nothing of it forwarded.
        assert!(out.len() <= at + growth || growth == 0 && filter.fault().is_some(), "more has gone on than has come");
    }
    filter.push(b"", true, &mut out);
    assert!(out.len() <= body.len() + growth || growth == 0 && filter.fault().is_some(), "it has grown");
    assert_eq!(filter.has_written(), !out.is_empty());
    (out, filter.fault())
}

/// Nothing but messages of the engine, whoever reads them.
fn assert_silent(answer: &Json) {
    let messages = ["warnings", "infos"].into_iter().flat_map(|name| answer.all(name)).flat_map(Json::items);
    let texts = messages.map(|message| if let Json::Text(text) = message { Some(text.as_str()) } else { None });
    for text in texts.chain(answer.texts("error")).flatten() {
        let mut judged = Filter::new(Documents::One, Content::Passed, Statistics::Unread);
        let alone = serde_json::json!({ "error": text }).to_string();
        judged.push(alone.as_bytes(), true, &mut Vec::new());
        let is_a_fault = text.starts_with("the upstream's answer could not be filtered: ");
        assert!(GENERIC.contains(&text) || is_a_fault || judged.withheld() == 0, "{text:?}");
    }
}

/// Without the lines that stand for messages: what has been shortened for want of room may have room the second time.
fn without_lines(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer).into_owned();
    GENERIC.iter().fold(answer, |answer, line| answer.replace(&format!("\"{line}\""), "\"\""))
}

/// The sizes of the first chunks: any bytes do for them.
fn sizes(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().rev().take(3).map(|size| usize::from(*size)).collect()
}

/// What streams by: the same whatever the chunks, no longer, and silent.
pub fn streams_are_silent(bytes: &[u8]) {
    let (body, sizes) = (bytes, sizes(bytes));
    for documents in [Documents::One, Documents::Lines] {
        for content in [Content::Passed, Content::Analyzed, Content::Explained, Content::Dropped] {
            let stream =
                |body: &[u8], sizes: &[usize]| stream(Filter::new(documents, content, Statistics::Unread), body, sizes);
            let (whole, fault) = stream(body, &[usize::MAX]);
            assert_eq!(stream(body, &sizes), (whole.clone(), fault), "another way in other chunks");
            assert_eq!(stream(body, &[1]), (whole.clone(), fault), "another way byte by byte");
            if let (Documents::One, Ok(answer)) = (documents, serde_json::from_slice::<Json>(&whole)) {
                assert_silent(&answer);
            }
            if fault.is_none() {
                let again = stream(&whole, &sizes).0;
                assert_eq!(without_lines(&again), without_lines(&whole), "a second time, something changes");
            }
        }
    }
}

fn whose(labelled: &Json, labels: &str) -> Vec<Option<String>> {
    let all = labelled.all(labels).flat_map(|labels| labels.texts(LABEL));
    all.map(|text| text.map(str::to_owned)).collect()
}

/// What is filtered by its labels: the same whatever the chunks; refused, or valid, no longer, and all of it the tenant's. With
/// little that may be held, too.
pub fn labelled_answers_are_the_tenant_s(bytes: &[u8]) {
    let owner = Owner::new(&Scope::equal(LABEL.into(), TENANT.into(), OnConflict::Replace)).expect("no pattern to run");
    let own = [Some(TENANT.to_owned())];
    let (body, sizes) = (bytes, sizes(bytes));
    for (labelled, max) in [
        (Labelled::Rules { shared: false, narrowed: false }, 1 << 20),
        (Labelled::Rules { shared: false, narrowed: false }, 200),
        (Labelled::Rules { shared: true, narrowed: true }, 1 << 20),
        (Labelled::Rules { shared: true, narrowed: false }, 90),
        (Labelled::Alerts, 1 << 20),
        (Labelled::AlertsOfRules, 1 << 20),
        (Labelled::AlertsOfRules, 200),
        (Labelled::Exemplars, 100),
        (Labelled::Targets, 300),
        (Labelled::TargetMetadata, 300),
    ] {
        let stream = |body: &[u8], sizes: &[usize]| stream(Filter::by_owner(labelled, owner.clone(), max), body, sizes);
        let (filtered, fault) = stream(body, &[usize::MAX]);
        assert_eq!(stream(body, &sizes), (filtered.clone(), fault), "another way in other chunks");
        assert_eq!(stream(body, &[1]), (filtered.clone(), fault), "another way byte by byte");
        let (_, held) = stream_growing(Filter::by_owner(labelled, owner.clone(), max).held_back(), 0, body, &sizes);
        assert!(held == fault || held == Some(Unreadable::Longer), "held back, it has another fault");
        if fault.is_some_and(|fault| filtered == fault.body()) {
            continue;
        }
        // Numbers out of range and halves of surrogate pairs are read by some.
        let Ok(answer) = serde_json::from_slice::<Json>(&filtered) else { continue };
        assert_silent(&answer);
        let data: Vec<&Json> = answer.all("data").collect();
        let of = |name: &'static str| data.iter().flat_map(move |data| data.all(name)).flat_map(Json::items);
        match labelled {
            Labelled::Alerts => of("alerts").for_each(|alert| assert_eq!(whose(alert, "labels"), own)),
            // One without the label stands in a rule that has it, and the rule is gone.
            Labelled::AlertsOfRules => of("alerts").for_each(|alert| {
                let alert = whose(alert, "labels");
                assert!(alert == own || alert.is_empty(), "{alert:?}");
            }),
            Labelled::Exemplars => {
                let series = data.iter().flat_map(|data| data.items());
                series.for_each(|series| assert_eq!(whose(series, "seriesLabels"), own));
            }
            Labelled::TargetMetadata => {
                let items = data.iter().flat_map(|data| data.items());
                items.for_each(|item| assert_eq!(whose(item, "target"), own));
            }
            Labelled::Targets => {
                of("activeTargets").for_each(|target| assert_eq!(whose(target, "labels"), own));
                of("droppedTargets").for_each(|target| assert_eq!(whose(target, "discoveredLabels"), own));
            }
            Labelled::Rules { shared, .. } => {
                for rule in of("groups").flat_map(|group| group.all("rules")).flat_map(Json::items) {
                    let rule_whose = whose(rule, "labels");
                    let is_own = rule_whose == own;
                    assert!(is_own || shared && rule_whose.iter().flatten().all(|label| label.contains("{{")));
                    assert!(rule.texts("lastError").all(|error| error == Some("")));
                    for alert in rule.all("alerts").flat_map(Json::items) {
                        let alert = whose(alert, "labels");
                        assert!(alert == own || is_own && alert.is_empty(), "{alert:?}");
                    }
                }
            }
        }
        if fault.is_none() && labelled != Labelled::AlertsOfRules {
            let (again, fault) = stream(&filtered, &sizes);
            assert_eq!((without_lines(&again), fault), (without_lines(&filtered), None), "a second time");
        }
    }
}
