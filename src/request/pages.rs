//! Web pages: the page to choose a tenant, redirections, and neutral answers. Pages of the upstream are forwarded by their rows.
//!
//! A browser names no tenant when it opens an address, so the path does (`tenant_path`). Where it doesn't, and an address is one of the
//! upstream's pages, the answer is a page with a link for each tenant that the client may choose. It has no script, keeps nothing in the
//! browser, and is never shown in a frame. Whoever may choose one tenant only is redirected to it.
//!
//! What the client wrote stands in the page as the query string of each link, and nowhere else. Neither ID nor query string can end an
//! attribute: see [`target`] and [`escape_html`].

use super::decision::Reply;
use super::head::Facts;
use crate::api::{Answer, Found, Method, Route, Rule, Switch, Upstream};
use crate::config::{Config, Split, TenantPath};
use crate::rejection::Rejection;
use crate::tenant::{Clues, Tenants};
use crate::text::escape_html;
use percent_encoding::{AsciiSet, CONTROLS};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The page is no longer than about this many bytes. Tenants beyond it are counted, and not listed.
const MAX_PAGE: usize = 256 * 1024;

const STYLE: &str = "\
:root{color-scheme:light dark;--b:#f3f4f6;--c:#1d2127;--d:#fff;--e:#d3d7dd;--f:#c2410c}\
@media(prefers-color-scheme:dark){:root{--b:#15171b;--c:#e6e8eb;--d:#1f2227;--e:#3b4048;--f:#fb923c}}\
body{margin:0;padding:12vh 1rem 4rem;background:var(--b);color:var(--c);font:1.0625rem/1.5 system-ui,sans-serif}\
main{max-width:26rem;margin:auto}\
h1{font-size:1.5rem;margin:0}\
ul{list-style:none;margin:1.5rem 0;padding:0}\
a{display:block;margin:.6rem 0;padding:.75rem 1rem;background:var(--d);border:1px solid var(--e);border-radius:.6rem;\
color:inherit;text-decoration:none;overflow-wrap:anywhere}\
a:hover,a:focus-visible{border-color:var(--f);outline:1px solid var(--f)}";

/// `style-src` has the hash of [`STYLE`]; a test computes it.
const POLICY: &str = "default-src 'none'; style-src 'sha256-L5hLdQhuEUXmfqKDPBV02W4nLJldXeLe+t8GiGXFSqs='; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What is asked for without naming a tenant: the path of a page, and what stands behind it.
pub struct Asked<'a> {
    route: &'static Route,
    prefix: &'a str,
    page: &'a str,
    query: &'a [u8],
}

impl<'a> Asked<'a> {
    /// `None` where a tenant is named, or no page is asked for.
    pub fn of(
        facts: &Facts<'_>,
        query: &'a [u8],
        chosen: Option<Split<'_>>,
        found: Option<(Found<'a>, &'a str)>,
        upstream: Upstream,
    ) -> Option<Asked<'a>> {
        let (Found { route, segment }, prefix) = found?;
        // `/t/` names none either.
        let is_chosen = chosen.is_some_and(|chosen| !chosen.tenant.is_empty());
        let page = match route.answer {
            // A page's name has been compared with those that there are.
            Answer::Page => std::str::from_utf8(segment?).ok()?,
            Answer::None if route.rule == Rule::Home => home(upstream),
            _ => return None,
        };
        (!is_chosen && Method::read(facts.method) == Some(Method::Get)).then_some(Asked { route, prefix, page, query })
    }

    /// The page to choose a tenant, or a redirection to the only one.
    pub fn choose(&self, evidence: Option<&[u8]>, config: &Config, path: &TenantPath) -> Result<Reply, Rejection> {
        let clues = Clues { evidence, ..Clues::default() };
        let tenants = config.offered(&clues).map_err(Rejection::Tenant)?;
        let target = |id: &str, query| target(&path.of(id), self.prefix, self.page, query);
        let mut ids = tenants.iter();
        if let (Some(id), None) = (ids.next(), ids.next()) {
            return Ok(redirect(None, self.route, target(id, self.query)));
        }
        // A long query string is left out where it would take the place of tenants.
        let fits = self.query.len().saturating_mul(tenants.len()) <= MAX_PAGE / 2;
        let query = if fits { self.query } else { b"" };
        Ok(Reply {
            tenant: None,
            route: self.route,
            status: 200,
            headers: vec![
                ("content-type", "text/html; charset=utf-8".to_owned()),
                ("content-security-policy", POLICY.to_owned()),
                ("x-content-type-options", "nosniff".to_owned()),
                ("referrer-policy", "no-referrer".to_owned()),
            ],
            body: html(&tenants, |id| target(id, query)).into_bytes(),
            reason: "choose_tenant",
        })
    }
}

/// The name of the first page.
pub fn home(upstream: Upstream) -> &'static str {
    upstream.profile().pages.as_ref().map_or("", |pages| pages.home)
}

/// What the filter answers itself where a tenant is named: a redirection to the first page, or a neutral answer in the place of a refusal.
/// `asked`: the prefix that names the tenant, the prefix below it, and the query string.
pub fn answer(
    facts: &Facts<'_>,
    route: &'static Route,
    config: &Config,
    tenants: &Tenants,
    (below, prefix, query): (&[u8], &str, &[u8]),
) -> Option<Reply> {
    if !config.serves(Switch::Ui) || Method::read(facts.method) != Some(Method::Get) {
        return None;
    }
    let tenant = Some(tenants.joined().clone());
    if route.rule == Rule::Home {
        let below = String::from_utf8_lossy(below);
        return Some(redirect(tenant, route, target(&below, prefix, home(config.upstream()), query)));
    }
    let is_refused = matches!(route.rule, Rule::Refuse(_)) || route.switch.is_some_and(|switch| !config.serves(switch));
    let answer = route.neutral.filter(|_| is_refused)?;
    Some(Reply {
        tenant,
        route,
        status: answer.status(),
        headers: vec![("content-type", "application/json".to_owned())],
        body: answer.body().into(),
        reason: "neutral",
    })
}

/// Sends the client to another page.
pub fn redirect(tenant: Option<Arc<str>>, route: &'static Route, to: String) -> Reply {
    Reply { tenant, route, status: 302, headers: vec![("location", to)], body: Vec::new(), reason: "redirect" }
}

/// An address on this host, in visible ASCII: whatever could end an attribute or a header is escaped as a browser would. Its path begins
/// with one slash, since `below` and the prefix, where there are any, do.
pub fn target(below: &str, prefix: &str, page: &str, query: &[u8]) -> String {
    const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\'');
    let mut out = [below, prefix, "/", page].concat();
    if !query.is_empty() {
        out.push('?');
        out.extend(percent_encoding::percent_encode(query, ESCAPED));
    }
    out
}

fn html(tenants: &BTreeSet<String>, target: impl Fn(&str) -> String) -> String {
    let mut out = [
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Choose a tenant</title><link rel=\"icon\" href=\"data:,\"><style>",
        STYLE,
        "</style><main><h1>Choose a tenant</h1><nav aria-label=\"Tenants\"><ul>",
    ]
    .concat();
    let mut left = tenants.len();
    for id in tenants {
        if out.len() > MAX_PAGE {
            break;
        }
        out.push_str("<li><a href=\"");
        target(id).chars().for_each(|c| escape_html(&mut out, c));
        out.push_str("\">");
        id.chars().for_each(|c| escape_html(&mut out, c));
        out.push_str("</a>");
        left -= 1;
    }
    out.push_str("</ul></nav>");
    if left > 0 {
        out.push_str("<p>There are ");
        out.push_str(&left.to_string());
        out.push_str(" more: write the tenant into the address.");
    }
    out.push_str("</main>");
    out
}
