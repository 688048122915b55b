//! Which keys name the tenant. One source is in force, so that no request can choose between two: whatever would be without
//! effect beside it is refused.

use super::allowed::Allowed;
use super::json::Field;
use super::{ConfigError, claims};
use crate::scope::OnConflict;
use crate::tenant::{self, Federation, Format, Source, Tenants};
use std::sync::Arc;

/// The values of `tenant_certificate_field`. Empty: the certificate names nobody.
pub const CERTIFICATE_FIELDS: &[(&str, Option<tenant::certificate::Field>)] = &[
    ("", None),
    ("organization", Some(tenant::certificate::Field::Organization)),
    ("organizationalUnit", Some(tenant::certificate::Field::OrganizationalUnit)),
    ("commonName", Some(tenant::certificate::Field::CommonName)),
];

/// The longest pattern of `tenant_regex`, in bytes: each selector of a query grows by it.
pub const MAX_PATTERN: usize = 4_096;

/// What the keys say that name the tenant. They are read last, since what is valid depends on other keys.
#[derive(Default)]
pub struct Given {
    pub header: Option<Field>,
    pub default_id: Option<Field>,
    pub certificate_field: Option<Field>,
    pub metadata: Option<Field>,
    pub groups: Option<Field>,
    pub parameter: Option<Field>,
    pub static_ids: Option<Field>,
    pub regex: Option<Field>,
}

/// What is in force.
pub struct InForce {
    pub source: Source,
    /// The pattern of a view.
    pub view: Option<Arc<str>>,
    /// A header that would name the tenant, and does not, since the path does.
    pub unread_header: Option<String>,
}

/// What the other keys say.
pub struct Context<'a> {
    pub format: Format,
    pub federation: Federation,
    pub allowed: Option<&'a Allowed>,
    pub enforce: bool,
    pub on_conflict: OnConflict,
    pub extra_parameters: &'a [String],
    /// Whether the path chooses the tenant.
    pub has_path: bool,
    /// The header that is set upstream names other tenants besides the request's.
    pub names_shared: bool,
}

type Reader = fn(Field, &Context<'_>) -> Result<Option<Source>, ConfigError>;

/// Reads the source.
pub fn source(given: Given, context: &Context<'_>) -> Result<InForce, ConfigError> {
    let Given { header, default_id, certificate_field, metadata, groups, parameter, static_ids, regex } = given;
    if context.has_path && context.enforce && context.federation != Federation::Off {
        return Err(error(
            "tenant_federation.enabled",
            &["has no effect, since with tenant_path a request names one tenant: leave it out"],
        ));
    }
    let mut found: Option<(String, Source)> = None;
    match (metadata, groups) {
        (Some(metadata), groups) => {
            let (claims, key) = claims::read(metadata, groups, context)?;
            found = Some((key, Source::Metadata(claims.into())));
        }
        (None, Some(groups)) => {
            return Err(groups.error("needs tenant_metadata: groups are read from a verified claim only"));
        }
        (None, None) => {}
    }
    let readers: [(Option<Field>, Reader); 3] =
        [(certificate_field, certificate), (parameter, named_parameter), (static_ids, static_tenants)];
    for (field, read) in readers {
        let Some(field) = field else { continue };
        let key = field.path.clone();
        let Some(source) = read(field, context)? else { continue };
        if let Some((other, _)) = &found {
            return Err(error(&key, &["names the tenant, and so does ", other, ": one source only can be in force"]));
        }
        found = Some((key, source));
    }
    let Some((key, source)) = found else {
        if let Some(field) = regex {
            return Err(field.error(NEEDS_A_NAME));
        }
        let name = header.map_or(Ok("thanos-tenant".to_owned()), |field| super::check::header(&field))?;
        let default = default_tenant(default_id, context)?;
        if !context.has_path {
            return Ok(InForce {
                source: Source::Header { name: name.into(), default },
                view: None,
                unread_header: None,
            });
        }
        // A default that is not allowed would be refused in words that no client of this path understands.
        let default =
            default.filter(|tenants| context.allowed.is_some_and(|allowed| allowed.contains(tenants.joined())));
        return match context.allowed {
            Some(allowed) if allowed.names_some() => {
                Ok(InForce { source: Source::Allowed { default }, view: None, unread_header: Some(name) })
            }
            _ => Err(error("tenant_path", &[NO_CHOICE])),
        };
    };
    let default_id = default_id.filter(|field| !is_parameter_without_default(&source, field));
    let without_effect = match (&header, &default_id, &source, context.federation) {
        (Some(field), ..) | (None, Some(field), ..) => Some(field.path.as_str()),
        // No request can name several.
        (None, None, Source::Certificate(_) | Source::Static(_), Federation::On { .. }) if !context.names_shared => {
            Some("tenant_federation.enabled")
        }
        (None, None, ..) => None,
    };
    if let Some(path) = without_effect {
        return Err(error(path, &["has no effect, since ", &key, " names the tenant: leave it out"]));
    }
    if context.has_path && source.parameter().is_some() {
        return Err(error(
            "tenant_path",
            &["names the tenant, and so does ", &key, ": one source only can be in force"],
        ));
    }
    let view = regex.map(|field| view(&field, &source, context)).transpose()?;
    Ok(InForce { source, view, unread_header: None })
}

const NO_CHOICE: &str = "has nothing to choose from: name tenants in allowed_tenants by their exact IDs, or let a claim or a certificate name them";

/// `"default_tenant_id": ""` says what holds for a parameter anyway.
fn is_parameter_without_default(source: &Source, default_id: &Field) -> bool {
    source.parameter().is_some() && default_id.text() == Ok("")
}

const NEEDS_A_NAME: &str = "needs static_tenant_ids with one ID, which stands for the view in the header that is set upstream, in \
                            statistics and in logs";

fn error(path: &str, message: &[&str]) -> ConfigError {
    ConfigError::new(path, message.concat())
}

pub fn one(field: &Field, text: &str, context: &Context<'_>) -> Result<Tenants, ConfigError> {
    let tenants = Tenants::one(text.as_bytes(), context.format).map_err(|error| field.error(error.to_string()))?;
    match context.allowed {
        Some(allowed) if !allowed.contains(text) => Err(error(&field.path, &["is not in allowed_tenants"])),
        _ => Ok(tenants),
    }
}

fn default_tenant(field: Option<Field>, context: &Context<'_>) -> Result<Option<Tenants>, ConfigError> {
    const DEFAULT: &str = "default-tenant";
    let Some(field) = field else {
        // Where it is not allowed, a request without the header is refused like one that names a tenant that isn't.
        return Ok(Tenants::one(DEFAULT.as_bytes(), context.format).ok());
    };
    match field.text()? {
        "" => Ok(None),
        text => one(&field, text, context).map(Some),
    }
}

fn certificate(field: Field, _: &Context<'_>) -> Result<Option<Source>, ConfigError> {
    Ok(field.word(CERTIFICATE_FIELDS)?.map(Source::Certificate))
}

fn named_parameter(field: Field, context: &Context<'_>) -> Result<Option<Source>, ConfigError> {
    let name = field.text()?;
    if name.is_empty() {
        return Ok(None);
    }
    let mut parameters = crate::api::TABLE.iter().flat_map(|route| route.parameters);
    if parameters.any(|parameter| parameter.name == name) {
        return Err(field.error(format!("{name:?} is a parameter of the API, and would not be forwarded")));
    }
    if context.extra_parameters.iter().any(|extra| extra == name) {
        return Err(field.error(format!("{name:?} is in extra_parameters, but what names the tenant is not forwarded")));
    }
    Ok(Some(Source::Parameter(name.into())))
}

fn static_tenants(field: Field, context: &Context<'_>) -> Result<Option<Source>, ConfigError> {
    let path = field.path.clone();
    let texts = field.texts()?;
    for (field, text) in &texts {
        one(field, text, context)?;
    }
    let ids: Vec<&[u8]> = texts.iter().map(|(_, text)| text.as_bytes()).collect();
    match Tenants::several(&ids, context.format, 0) {
        Ok(tenants) => Ok(Some(Source::Static(tenants))),
        Err(problem) => Err(error(&path, &[&problem.to_string()])),
    }
}

fn view(field: &Field, source: &Source, context: &Context<'_>) -> Result<Arc<str>, ConfigError> {
    let is_named = match source {
        Source::Static(tenants) => !tenants.joined().contains('|'),
        Source::Header { .. }
        | Source::Parameter(_)
        | Source::Allowed { .. }
        | Source::Certificate(_)
        | Source::Metadata(_) => false,
    };
    let pattern = field.text()?;
    let problem = match (is_named, context.enforce, context.on_conflict) {
        (false, ..) => Some(NEEDS_A_NAME),
        (true, false, _) => Some("has no effect while enforce_tenancy is false"),
        (true, true, OnConflict::Reject) => Some("can't be decided on with on_conflict \"reject\": use \"intersect\""),
        (true, true, OnConflict::Replace | OnConflict::Intersect) => problem(pattern.as_bytes()),
    };
    match problem {
        Some(problem) => Err(field.error(problem)),
        None => Ok(pattern.into()),
    }
}

/// What is plainly wrong with a pattern. Above all, it must not close a parenthesis that it has not opened: the upstream puts it
/// between `^(?s:` and `)$` (`NewFastRegexMatcher` in Prometheus's model/labels/regexp.go, 3.16), so that `a)|(b` would match
/// whatever begins with an `a`. What else is wrong, the upstream says.
fn problem(pattern: &[u8]) -> Option<&'static str> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN {
        return Some("is empty or too long");
    }
    let mut bytes = pattern.iter().copied();
    let (mut depth, mut previous) = (0u32, 0);
    // In a class; whether its first character, which may be a `]`, is still to come.
    let mut class = None;
    while let Some(byte) = bytes.next() {
        match (class, byte) {
            (_, 0..=0x1f | 0x7f) => return Some("holds a control character"),
            (_, b'\\') => {
                class = class.map(|_| false);
                // `\Q…\E` would turn what follows into text, for us and for the upstream at different places.
                if let None | Some(b'Q' | b'E') = bytes.next() {
                    return Some("ends with a backslash, or quotes by \\Q or \\E");
                }
            }
            (None, b'[') => class = Some(true),
            (None, b'*' | b'+') if matches!(previous, 0 | b'(' | b'|') => return Some("repeats nothing"),
            (None, b'(') => depth += 1,
            (None, b')') => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some("closes a parenthesis that it has not opened"),
            },
            (None, _) => {}
            (Some(true), b'^') if previous == b'[' => {}
            // `[[:alpha:]]` has an end of its own.
            (Some(_), b':') if previous == b'[' => return Some("names a class of characters"),
            (Some(false), b']') => class = None,
            (Some(_), _) => class = Some(false),
        }
        previous = byte;
    }
    (depth > 0 || class.is_some()).then_some("does not close a parenthesis or bracket")
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::problem;
    use crate::tenant::{Clues, Source};
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// What a client says wherever it can.
    const CLAIMED: Clues<'_> =
        Clues { header: Some(b"c"), parameter: Some(b"c"), segment: None, evidence: Some(b"O=c") };

    fn parse(json: serde_json::Value) -> Result<Config, (String, String)> {
        Config::parse(json.to_string().as_bytes()).map_err(|error| (error.path, error.message))
    }

    #[track_caller]
    fn refused(json: serde_json::Value, path: &str, message: &str) {
        let (found, reason) = parse(json.clone()).expect_err(&json.to_string());
        assert!(found == path && reason.contains(message), "{json}: {found}: {reason}");
    }

    #[test]
    fn each_key_is_a_source() {
        let source = |json| parse(json).unwrap().source().clone();
        assert!(matches!(source(json!({})), Source::Header { default: Some(_), .. }));
        assert!(matches!(source(json!({"default_tenant_id": ""})), Source::Header { default: None, .. }));
        assert!(matches!(source(json!({"tenant_certificate_field": ""})), Source::Header { .. }));
        for field in ["organization", "organizationalUnit", "commonName"] {
            assert!(matches!(source(json!({"tenant_certificate_field": field})), Source::Certificate(_)));
        }
        assert!(
            matches!(source(json!({"tenant_metadata": ["a.b", "c"]})), Source::Metadata(claims) if *claims.path == ["a.b", "c"])
        );
        assert!(
            matches!(source(json!({"static_tenant_ids": ["b", "a"]})), Source::Static(ids) if &**ids.joined() == "a|b")
        );
    }

    #[test]
    fn two_sources_are_refused() {
        let sources = [
            ("tenant_certificate_field", json!("commonName")),
            ("tenant_metadata", json!(["a", "b"])),
            ("static_tenant_ids", json!(["a"])),
        ];
        for (first, first_value) in &sources {
            for (key, value) in [
                ("tenant_header", json!("x-tenant")),
                ("default_tenant_id", json!("a")),
                ("default_tenant_id", json!("")),
            ] {
                refused(json!({*first: first_value, key: value}), key, &format!("{first} names the tenant"));
            }
            for (second, second_value) in sources.iter().filter(|(second, _)| second > first) {
                let (path, message) = parse(json!({*first: first_value, *second: second_value})).unwrap_err();
                assert!(
                    [*first, *second].contains(&path.as_str()) && message.contains("one source only"),
                    "{path}: {message}"
                );
            }
        }
        refused(
            json!({"tenant_certificate_field": "", "tenant_header": "x", "tenant_metadata": ["a", "b"]}),
            "tenant_header",
            "no effect",
        );
    }

    #[test]
    fn a_source_has_to_be_whole() {
        refused(json!({"tenant_certificate_field": "O"}), "tenant_certificate_field", "organizationalUnit");
        refused(json!({"tenant_metadata": []}), "tenant_metadata", "needs a namespace");
        refused(json!({"tenant_metadata": ["a"]}), "tenant_metadata", "needs a namespace");
        refused(json!({"tenant_metadata": ["a", ""]}), "tenant_metadata", "needs a namespace");
        refused(json!({"tenant_metadata": "a.b"}), "tenant_metadata", "a list of strings");
        refused(json!({"tenant_metadata": ["a", 1]}), "tenant_metadata[1]", "a string");
        refused(json!({"static_tenant_ids": []}), "static_tenant_ids", "empty");
        refused(json!({"static_tenant_ids": ["a", "a"]}), "static_tenant_ids[1]", "twice");
        refused(json!({"static_tenant_ids": ["a", "b|c"]}), "static_tenant_ids[1]", "can't hold a |");
        refused(json!({"static_tenant_ids": ["a", ""]}), "static_tenant_ids[1]", "empty");
        refused(
            json!({"static_tenant_ids": ["a", "b"], "allowed_tenants": ["a"]}),
            "static_tenant_ids[1]",
            "allowed_tenants",
        );
    }

    #[test]
    fn federation_is_for_requests_that_can_name_several() {
        let on = json!({"enabled": true});
        assert!(parse(json!({"tenant_metadata": ["a", "b"], "tenant_federation": on})).is_ok());
        refused(
            json!({"tenant_certificate_field": "commonName", "tenant_federation": on}),
            "tenant_federation.enabled",
            "no effect",
        );
        refused(
            json!({"static_tenant_ids": ["a", "b"], "tenant_federation": on}),
            "tenant_federation.enabled",
            "no effect",
        );
    }

    #[test]
    fn several_static_tenants_need_no_switch_and_queries_select_among_them() {
        let config = parse(json!({"static_tenant_ids": ["b", "a"]})).unwrap();
        let tenants = config.identify(&CLAIMED).unwrap();
        assert_eq!(config.scope_of(&tenants).selector(), r#"{tenant_id=~"a|b"}"#);
        let mut out = Vec::new();
        crate::promql::rewrite(br#"up{tenant_id="b"}"#, &config.scope_of(&tenants), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"up{tenant_id=~"a|b",tenant_id="b"}"#);
    }

    #[test]
    fn a_view_has_a_name_and_never_matches_the_empty_tenant() {
        let view = |pattern: &str| parse(json!({"static_tenant_ids": ["ops"], "tenant_regex": pattern}));
        let config = view(r#"team-.*|"x\\d"#).unwrap();
        let tenants = config.identify(&CLAIMED).unwrap();
        assert_eq!(&**tenants.joined(), "ops");
        assert_eq!(config.scope_of(&tenants).selector(), r#"{tenant_id=~"team-.*|\"x\\\\d",tenant_id!=""}"#);
        for extra in [
            json!({}),
            json!({"tenant_header": "x"}),
            json!({"static_tenant_ids": ["a", "b"]}),
            json!({"tenant_certificate_field": "commonName"}),
        ] {
            let mut keys = extra.clone();
            keys["tenant_regex"] = "a.*".into();
            refused(keys, "tenant_regex", "needs static_tenant_ids with one ID");
        }
        let with = |key: &str, value: serde_json::Value| json!({"static_tenant_ids": ["ops"], "tenant_regex": "a.*", key: value});
        refused(with("enforce_tenancy", json!(false)), "tenant_regex", "no effect");
        refused(with("upstream", json!("cortex")), "tenant_regex", "no effect");
        refused(with("on_conflict", json!("reject")), "tenant_regex", "can't be decided");
        assert!(parse(with("on_conflict", json!("intersect"))).is_ok());
        refused(with("tenant_regex", json!("")), "tenant_regex", "is empty");
    }

    #[test]
    fn a_pattern_can_not_leave_its_anchors() {
        for pattern in [
            "a",
            ".*",
            "team-[ab]",
            "(a|b)+",
            r"a\)",
            r"[)]",
            r"[]a)]",
            r"[^])]",
            r"[\])]",
            r"a\\(b)",
            "(?i:a)",
            r"\(*",
            r"a\|+",
            r"\p{L}+",
            "a{2}",
        ] {
            assert_eq!(problem(pattern.as_bytes()), None, "{pattern}");
        }
        for pattern in [
            "",
            "a)|(b",
            ")",
            "(",
            "a(b",
            "[",
            "[a",
            "[]",
            r"[a\]",
            "a\\",
            r"\Qa)\E|(b",
            "*",
            "team|*a",
            "a(+b)",
            r"[[:alpha:",
            "a\n",
            &"a".repeat(5_000),
        ] {
            assert!(problem(pattern.as_bytes()).is_some(), "{pattern}");
        }
    }
}
