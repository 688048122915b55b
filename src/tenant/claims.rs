//! Which tenants a claim names. An identity provider writes a user's groups or roles into it, and not all of them are tenants.
//!
//! ```text
//! claim   = entry / list of entries
//! entry   = strip_prefix name             an entry without the prefix names no tenant
//! tenants = name                          without tenant_groups: it is a valid tenant ID
//!         / the tenants of group `name`   with tenant_groups
//! ```
//!
//! With `drop_unknown`, entries that name no tenant that is served are left out. Without it, one such entry refuses the request. Groups
//! that are not in the map are never tenants themselves.

use super::metadata::Claim;
use super::{Error, Federation, MAX_HEADER, Rules, Tenants};
use crate::text;
use std::collections::{BTreeMap, BTreeSet};

/// Where the claim stands, and how its entries name tenants.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The path in Envoy's dynamic metadata. It begins with the namespace.
    pub path: Box<[String]>,
    /// What each entry has to begin with; empty where it is the name as it stands.
    pub strip_prefix: Box<str>,
    /// Whether entries that name no tenant that is served are left out.
    pub drops_unknown: bool,
    /// Where the entries are groups: whom they stand for.
    pub groups: Option<Groups>,
}

/// The tenants of each group, sorted.
pub type Groups = BTreeMap<Box<str>, Box<[Box<str>]>>;

/// What one entry names.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'c> {
    /// A text that has to be a tenant's ID.
    Tenant(&'c [u8]),
    /// A group, with its tenants.
    Group(&'c str, &'c [Box<str>]),
    /// Nothing.
    Unknown,
}

impl Claims {
    /// A claim whose entries are tenant IDs as they stand.
    pub fn plain(path: Box<[String]>) -> Claims {
        Claims { path, strip_prefix: "".into(), drops_unknown: false, groups: None }
    }

    /// What an entry names.
    pub fn read<'c>(&'c self, entry: &'c [u8]) -> Entry<'c> {
        let Some(name) = entry.strip_prefix(self.strip_prefix.as_bytes()) else {
            return Entry::Unknown;
        };
        let Some(groups) = &self.groups else {
            return Entry::Tenant(name);
        };
        let found = std::str::from_utf8(name).ok().and_then(|name| groups.get_key_value(name));
        found.map_or(Entry::Unknown, |(name, tenants)| Entry::Group(name, tenants))
    }

    /// The tenants that the claim names together.
    pub fn tenants(&self, claim: Claim<'_>, rules: &Rules<'_>) -> Result<Tenants, Error> {
        const SEVERAL: Error =
            Error::Unclear("the metadata names a list of tenants, but tenant_federation is not enabled");
        // Where entries are dropped or mapped, what is left of a list may be one tenant.
        let may_shrink = self.drops_unknown || self.groups.is_some();
        if matches!(claim, Claim::Texts(_)) && !may_shrink && rules.federation == Federation::Off {
            return Err(SEVERAL);
        }
        let entries = entries(claim)?;
        let mut found = Found::default();
        // Each group is walked once, so that a claim which repeats a large group costs no more than the map is long.
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        for &entry in &entries {
            match self.read(entry) {
                Entry::Tenant(id) if self.drops_unknown && !rules.serves(id) => {}
                Entry::Tenant(id) => found.add(id)?,
                Entry::Group(name, tenants) => {
                    if groups.insert(name) {
                        tenants.iter().try_for_each(|id| found.add(id.as_bytes()))?;
                    }
                }
                Entry::Unknown if self.drops_unknown => {}
                Entry::Unknown => return Err(Error::UnknownEntry(text::quote(entry))),
            }
        }
        match (found.ids.as_slice(), rules.federation) {
            ([], _) if entries.is_empty() => Err(Error::Empty),
            ([], _) => Err(Error::NoneServed),
            ([id], _) => Tenants::one(id, rules.format),
            (_, Federation::Off) => Err(SEVERAL),
            (ids, Federation::On { max_tenants }) => Tenants::several(ids, rules.format, max_tenants),
        }
    }

    /// Whether the claim names this tenant, among others or alone.
    pub fn offers(&self, claim: Claim<'_>, id: &str) -> Result<bool, Error> {
        Ok(entries(claim)?.into_iter().any(|entry| match self.read(entry) {
            Entry::Tenant(named) => named == id.as_bytes(),
            Entry::Group(_, tenants) => tenants.binary_search_by(|tenant| (**tenant).cmp(id)).is_ok(),
            Entry::Unknown => false,
        }))
    }

    /// Calls `each` with what the entries name: IDs, valid or not, of which some may come more than once.
    pub fn each_offered(&self, claim: Claim<'_>, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        // Each group is walked once, as in `tenants`.
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        for entry in entries(claim)? {
            match self.read(entry) {
                Entry::Tenant(id) => each(id),
                Entry::Group(name, tenants) => {
                    if groups.insert(name) {
                        tenants.iter().for_each(|id| each(id.as_bytes()));
                    }
                }
                Entry::Unknown => {}
            }
        }
        Ok(())
    }
}

/// The entries of a claim.
pub fn entries(claim: Claim<'_>) -> Result<Vec<&[u8]>, Error> {
    match claim {
        Claim::Absent => Err(Error::Absent("the metadata that names it is absent")),
        Claim::Text(b"") => Err(Error::Empty),
        Claim::Text(text) => Ok(vec![text]),
        Claim::Texts(texts) => Ok(texts),
        Claim::Other => Err(Error::Unclear("the metadata that names the tenant is no string")),
    }
}

/// Different IDs, in order, of a bounded length together.
#[derive(Default)]
struct Found<'c> {
    ids: Vec<&'c [u8]>,
    length: usize,
}

impl<'c> Found<'c> {
    fn add(&mut self, id: &'c [u8]) -> Result<(), Error> {
        let Err(place) = self.ids.binary_search(&id) else { return Ok(()) };
        self.length += id.len() + 1;
        if self.length > MAX_HEADER + 1 {
            return Err(Error::TooLong { max: MAX_HEADER });
        }
        self.ids.insert(place, id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MANY: Federation = Federation::On { max_tenants: 0 };
    const TWO: Federation = Federation::On { max_tenants: 2 };

    fn plain() -> Claims {
        Claims::plain([].into())
    }

    fn dropping(strip_prefix: &str) -> Claims {
        Claims { strip_prefix: strip_prefix.into(), drops_unknown: true, ..plain() }
    }

    fn mapped(groups: &[(&str, &[&str])], drops_unknown: bool) -> Claims {
        let tenants = |ids: &[&str]| ids.iter().map(|&id| id.into()).collect();
        let groups = groups.iter().map(|&(name, ids)| (name.into(), tenants(ids))).collect();
        Claims { groups: Some(groups), drops_unknown, ..plain() }
    }

    fn rules(federation: Federation) -> Rules<'static> {
        Rules { format: Format::Cortex, federation, allows: &|id| id.starts_with("team-") }
    }

    fn tenants(claims: &Claims, list: &[&str], federation: Federation) -> Result<String, Error> {
        let claim = Claim::Texts(list.iter().map(|text| text.as_bytes()).collect());
        claims.tenants(claim, &rules(federation)).map(|tenants| tenants.joined().to_string())
    }

    /// Where every tenant is served, too: what a prefix leaves nothing of names none.
    #[test]
    fn an_entry_that_is_no_more_than_the_prefix_is_dropped() {
        let rules = Rules { format: Format::Cortex, federation: Federation::Off, allows: &|_| true };
        let claim = Claim::Texts(vec![b"team-", b"team-a"]);
        let tenants = dropping("team-").tenants(claim, &rules).unwrap();
        assert_eq!(&**tenants.joined(), "a");
    }

    #[test]
    fn entries_of_no_tenant_that_is_served_are_dropped() {
        // As Keycloak writes realm roles.
        let roles = ["offline_access", "uma_authorization", "default-roles-acme", "team-a"];
        assert_eq!(tenants(&dropping(""), &roles, Federation::Off), Ok("team-a".to_owned()));
        assert_eq!(
            tenants(&dropping(""), &["", "a b", "team-a/sub", "\u{e9}", "team-a"], MANY),
            Ok("team-a".to_owned())
        );
        assert_eq!(tenants(&dropping(""), &["team-b", "x", "team-a", "team-b"], TWO), Ok("team-a|team-b".to_owned()));
        assert_eq!(tenants(&dropping(""), &["a", "team-a|team-b"], MANY), Err(Error::NoneServed));
        assert_eq!(tenants(&dropping(""), &[], MANY), Err(Error::Empty));
        // What is left still has to be what federation allows.
        assert!(matches!(tenants(&dropping(""), &["team-a", "team-b"], Federation::Off), Err(Error::Unclear(_))));
        let three = tenants(&dropping(""), &["team-a", "team-b", "team-c", "x"], TWO);
        assert_eq!(three, Err(Error::TooMany { named: 3, max: 2 }));
        let one = dropping("").tenants(Claim::Text(b"offline_access"), &rules(MANY));
        assert_eq!(one, Err(Error::NoneServed));
    }

    #[test]
    fn an_entry_without_the_prefix_names_no_tenant() {
        let slash = Claims { strip_prefix: "/".into(), ..plain() };
        assert_eq!(tenants(&slash, &["/team-a", "/team-b"], MANY), Ok("team-a|team-b".to_owned()));
        assert_eq!(
            slash.tenants(Claim::Text(b"/team-a"), &rules(Federation::Off)).unwrap().joined().as_ref(),
            "team-a"
        );
        assert_eq!(tenants(&slash, &["/team-a", "team-b"], MANY), Err(Error::UnknownEntry("\"team-b\"".to_owned())));
        assert!(matches!(tenants(&slash, &["//team-a"], MANY), Err(Error::Character(_))), "it is stripped once");
        assert!(matches!(tenants(&slash, &["/team-a/team-b"], MANY), Err(Error::Character(_))));
        assert_eq!(tenants(&slash, &["/"], MANY), Err(Error::Empty));
        let dropping = dropping("/");
        assert_eq!(
            tenants(&dropping, &["team-b", "/team-a", "/", "/team-c/x", "//team-d"], MANY),
            Ok("team-a".to_owned())
        );
    }

    #[test]
    fn groups_name_their_tenants_and_nothing_else_does() {
        let map: &[(&str, &[&str])] = &[("sre", &["team-a", "team-b", "team-c"]), ("shop", &["team-b", "team-d"])];
        let strict = mapped(map, false);
        assert_eq!(tenants(&strict, &["shop"], TWO), Ok("team-b|team-d".to_owned()));
        assert_eq!(tenants(&strict, &["shop", "sre", "shop"], MANY), Ok("team-a|team-b|team-c|team-d".to_owned()));
        assert_eq!(tenants(&strict, &["sre"], TWO), Err(Error::TooMany { named: 3, max: 2 }));
        assert!(matches!(tenants(&strict, &["sre"], Federation::Off), Err(Error::Unclear(_))));
        // A tenant's ID is no group.
        assert_eq!(tenants(&strict, &["team-a"], MANY), Err(Error::UnknownEntry("\"team-a\"".to_owned())));
        assert_eq!(tenants(&strict, &["SRE"], MANY), Err(Error::UnknownEntry("\"SRE\"".to_owned())));
        let lenient = mapped(map, true);
        assert_eq!(tenants(&lenient, &["team-a", "shop", "", "sre "], MANY), Ok("team-b|team-d".to_owned()));
        assert_eq!(tenants(&lenient, &["team-a"], MANY), Err(Error::NoneServed));
        let one = mapped(&[("shop", &["team-b"]), ("till", &["team-b"])], true);
        assert_eq!(tenants(&one, &["till", "shop", "else"], Federation::Off), Ok("team-b".to_owned()));
    }

    #[test]
    fn a_path_may_choose_what_an_entry_names() {
        let offers = |claims: &Claims, list: &[&str], id| {
            claims.offers(Claim::Texts(list.iter().map(|text| text.as_bytes()).collect()), id)
        };
        assert_eq!(offers(&plain(), &["x", "team-a"], "team-a"), Ok(true));
        assert_eq!(offers(&plain(), &["x", "team-ab", "TEAM-A"], "team-a"), Ok(false));
        let slash = Claims { strip_prefix: "/".into(), ..plain() };
        assert_eq!(offers(&slash, &["team-a", "/team-b"], "team-a"), Ok(false));
        assert_eq!(offers(&slash, &["team-a", "/team-b"], "team-b"), Ok(true));
        let map = mapped(&[("sre", &["team-a", "team-b"]), ("x", &["team-c"])], false);
        assert_eq!(offers(&map, &["else", "sre"], "team-b"), Ok(true));
        for id in ["team-c", "sre", "else", ""] {
            assert_eq!(offers(&map, &["else", "sre"], id), Ok(false), "{id}");
        }
        assert!(matches!(plain().offers(Claim::Absent, "team-a"), Err(Error::Absent(_))));
        assert!(matches!(plain().offers(Claim::Other, "team-a"), Err(Error::Unclear(_))));
        assert_eq!(plain().offers(Claim::Text(b""), "team-a"), Err(Error::Empty));
    }

    #[test]
    fn many_entries_of_many_tenants_are_within_bounds() {
        let ids: Vec<String> = (0..10_000).map(|n| format!("team-{n:05}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        // No header could hold them.
        let map = mapped(&[("all", &ids), ("one", &["team-0"])], true);
        assert_eq!(tenants(&map, &["all"], MANY), Err(Error::TooLong { max: MAX_HEADER }));
        let many = mapped(&[("some", &ids[..300])], true);
        let list = vec!["some"; 20_000];
        assert_eq!(tenants(&many, &list, MANY).unwrap().split('|').count(), 300);
        assert!(map.offers(Claim::Texts(vec![b"all"; 20_000]), "team-99999").is_ok_and(|offered| !offered));
    }
}
