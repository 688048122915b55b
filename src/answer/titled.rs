//! The title of a web page, with the tenant before it, so that two tabs are told apart.
//!
//! ```text
//! <title>Prometheus …</title>    →    <title>team-a &middot; Prometheus …</title>
//! ```
//!
//! The rest passes as it comes, and nothing is held back. A page without a `<title>` in its first [`MAX_SEARCHED`] bytes passes unchanged. The tenant is
//! escaped for text and for attributes, so that it stays text wherever the upstream has put the tag.

use super::Unreadable;
use super::filter::MAX_GROWTH;
use super::head::{self, Head};
use crate::text::escape_html;

/// The tag begins and ends in so many bytes. Prometheus 3.16's begins after 1.6 KB, and Thanos 0.42.5's after about 600 bytes.
const MAX_SEARCHED: usize = 16 * 1024;
const TAG: &[u8] = b"<title>";
const AFTER_TENANT: &str = " &middot; ";

/// Reads a page in parts.
#[derive(Debug, Clone)]
pub struct Titled {
    /// What is written behind the tag; empty once it is, or will not be.
    insert: String,
    /// How many bytes of the tag have come.
    matched: usize,
    searched: usize,
    has_written: bool,
    fault: Option<Unreadable>,
}

impl Titled {
    /// For the page of this tenant. Of a long ID, the title has the beginning.
    pub fn new(tenant: &str) -> Self {
        let mut insert = String::new();
        for c in tenant.chars() {
            let length = insert.len();
            escape_html(&mut insert, c);
            if insert.len() > MAX_GROWTH - AFTER_TENANT.len() {
                insert.truncate(length);
                break;
            }
        }
        insert.push_str(AFTER_TENANT);
        Titled { insert, matched: 0, searched: 0, has_written: false, fault: None }
    }

    /// Reads on, and writes what is passed on.
    pub fn push(&mut self, part: &[u8], out: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        self.has_written |= !part.is_empty();
        for &byte in part {
            out.push(byte);
            if self.insert.is_empty() {
                continue;
            }
            self.searched += 1;
            // `<` stands at its beginning only.
            let is_next = TAG.get(self.matched).is_some_and(|next| byte.eq_ignore_ascii_case(next));
            self.matched = if is_next { self.matched + 1 } else { usize::from(byte == b'<') };
            if self.matched == TAG.len() {
                out.extend(std::mem::take(&mut self.insert).into_bytes());
            } else if self.searched == MAX_SEARCHED {
                self.insert = String::new();
            }
        }
    }

    /// Nothing more is passed on.
    pub fn stop(&mut self, fault: Unreadable) {
        self.fault = Some(fault);
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }
}

/// Whether an answer is a whole page whose text can be read.
pub fn is_page(head: &Head<'_>) -> bool {
    let is = |name: &str, value: &str| {
        let mut of_name = head.headers.iter().filter(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value);
        let begins =
            |found: &[u8]| found.get(..value.len()).is_some_and(|found| found.eq_ignore_ascii_case(value.as_bytes()));
        of_name.next().is_none_or(begins) && of_name.next().is_none()
    };
    let has_type = head::find(head, "content-type").is_some();
    is(":status", "200") && has_type && is("content-type", "text/html") && is("content-encoding", "identity")
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The page that is written, which is the same whatever its parts.
    #[track_caller]
    fn titled(tenant: &str, page: &str) -> String {
        let by = |size: usize| {
            let (mut titled, mut out) = (Titled::new(tenant), Vec::new());
            page.as_bytes().chunks(size).for_each(|part| titled.push(part, &mut out));
            assert_eq!((titled.has_written(), titled.fault()), (!page.is_empty(), None));
            String::from_utf8(out).unwrap()
        };
        let whole = by(page.len().max(1));
        assert_eq!((by(1), by(7)), (whole.clone(), whole.clone()));
        assert!(whole.len() <= page.len() + MAX_GROWTH);
        whole
    }

    #[test]
    fn the_tenant_stands_before_the_title() {
        let page = |title: &str| format!("<!doctype html><head><meta><{title}Prometheus</title><title>2</title>");
        for tag in ["title>", "TITLE>", "<title>", "title<title>", "<t<ti<title>"] {
            assert_eq!(titled("team-a", &page(tag)), page(&[tag, "team-a &middot; "].concat()), "{tag}");
        }
    }

    #[test]
    fn a_page_without_a_title_passes_unchanged() {
        for page in ["", "<", "<title", "no title", "< title>", "<title >", "<title lang=en>x", "</title>", "<titl<e>"]
        {
            assert_eq!(titled("team-a", page), page);
        }
    }

    #[test]
    fn the_title_is_looked_for_in_the_first_bytes_only() {
        for (before, is_found) in [(MAX_SEARCHED - TAG.len(), true), (MAX_SEARCHED - TAG.len() + 1, false)] {
            let page = " ".repeat(before) + "<title>x</title>";
            assert_eq!(titled("team-a", &page).contains("team-a"), is_found, "{before}");
        }
    }

    #[test]
    fn no_tenant_ends_the_title_or_grows_the_page_beyond_its_bound() {
        let written = titled("</title><script>alert('&\"')</script>", "<title>x");
        let safe = "&lt;/title&gt;&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;";
        assert_eq!(written, format!("<title>{safe} &middot; x"));
        for long in ["a", "é", "\"", "&"] {
            let written = titled(&long.repeat(4096), "<title>x");
            let title = written.strip_prefix("<title>").unwrap().strip_suffix(" &middot; x").unwrap();
            let mut unit = String::new();
            long.chars().for_each(|c| escape_html(&mut unit, c));
            assert_eq!(title, unit.repeat(title.len() / unit.len()), "no escape is cut");
        }
        assert_eq!(titled("équipe-α", "<title>x"), "<title>équipe-α &middot; x");
    }

    #[test]
    fn after_a_fault_nothing_passes() {
        let (mut titled, mut out) = (Titled::new("a"), Vec::new());
        titled.push(b"<ti", &mut out);
        titled.stop(Unreadable::OverLimit(9, 3));
        titled.push(b"tle>", &mut out);
        assert_eq!((out.as_slice(), titled.fault()), (b"<ti".as_slice(), Some(Unreadable::OverLimit(9, 3))));
    }

    #[test]
    fn only_a_whole_page_of_readable_html_is_edited() {
        let is = |pairs: &[(&str, &str)]| {
            let headers: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            is_page(&Head { headers: &headers, end_of_stream: false, is_early: false })
        };
        let (ok, html) = ((":status", "200"), ("content-type", "text/html; charset=utf-8"));
        assert!(is(&[ok, html]) && is(&[ok, ("content-type", "TEXT/HTML"), ("content-encoding", "identity")]));
        for other in [
            vec![ok],
            vec![(":status", "206"), html],
            vec![(":status", "304"), html],
            vec![ok, ("content-type", "application/json")],
            vec![ok, html, html],
            vec![ok, html, ("content-encoding", "gzip")],
            vec![ok, html, ("content-encoding", "identity"), ("content-encoding", "br")],
        ] {
            assert!(!is(&other), "{other:?}");
        }
    }
}
