//! What was found: a table for a reader, or one JSON object.

use super::super::{Failure, print};
use super::check::Check;
use super::data::Data;
use super::deployment::Deployment;
use super::judge::{Found, Outcome};
use anstyle::{AnsiColor, Effects, Style};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const NOTE: Style = Style::new().dimmed();

pub struct Report {
    json: bool,
    verbose: bool,
    ids: [String; 2],
    metrics: [String; 2],
    differs: bool,
    lines: Vec<Line>,
}

struct Line {
    group: String,
    tenant: String,
    what: String,
    request: String,
    found: Found,
}

impl Report {
    pub fn new(json: bool, verbose: bool, data: &Data) -> Report {
        let [one, other] = &data.subjects;
        Report {
            json,
            verbose,
            ids: [one.id.clone(), other.id.clone()],
            metrics: [one.metric.clone(), other.metric.clone()],
            differs: data.differs(),
            lines: Vec::new(),
        }
    }

    pub fn add(&mut self, check: &Check, found: Found) {
        let tenant = if check.own == 0 { self.ids[0].clone() } else { self.ids[1].clone() };
        let request = format!("{} {}", check.ask.method, check.ask.target);
        self.lines.push(Line { group: check.group.to_owned(), tenant, what: check.what.clone(), request, found });
    }

    /// A finding that belongs to no single request.
    pub fn note(&mut self, group: &str, tenant: &str, what: &str, found: Found) {
        let line = Line {
            group: group.to_owned(),
            tenant: tenant.to_owned(),
            what: what.to_owned(),
            request: String::new(),
            found,
        };
        self.lines.push(line);
    }

    pub fn unreachable(&mut self, url: &str, is_reached: bool) {
        let found = if is_reached {
            Found::leak("it answers from here: whoever reaches it passes no filter".to_owned())
        } else {
            Found::good()
        };
        self.note("network", "", &format!("{url} is out of reach"), found);
    }

    pub fn finish(mut self, deployment: &Deployment<'_>) -> Result<(), Failure> {
        if !self.differs {
            let found = match deployment.config.enforces() {
                // The tenant label told what was the other's.
                true => Found::unchecked(
                    "their series differ in nothing but the tenant: what a query's parameters may tell was not checked",
                ),
                false => Found::bad("both are answered the same".to_owned()),
            };
            self.note("data", "", "the tenants have different series", found);
        }
        let count = |outcome| self.lines.iter().filter(|line| line.found.outcome == outcome).count();
        let (leaks, wrong, unchecked) = (count(Outcome::Leak), count(Outcome::Wrong), count(Outcome::Unchecked));
        let is_isolated = leaks == 0 && wrong == 0;
        let verdict = if is_isolated { "isolated" } else { "not isolated" };
        if self.json {
            let document = json!({
                "verdict": verdict, "tenants": self.ids, "metrics": self.metrics, "upstream": deployment.upstream.name(),
                "requests": deployment.sent(), "leaks": leaks, "wrong": wrong, "unchecked": unchecked,
                "checks": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            });
            print(&format!("{document:#}\n"))?;
        } else {
            self.table()?;
            let [one, other] = &self.ids;
            let style = if is_isolated { GOOD } else { BAD };
            let more = if unchecked > 0 { format!(", {unchecked} not checked") } else { String::new() };
            print(&format!(
                "\n{style}{verdict}{style:#}: {one} and {other}, by {}: {} checks, {leaks} leaks, {wrong} other failures{more}; {} requests\n",
                self.metrics[0],
                self.lines.len(),
                deployment.sent()
            ))?;
        }
        if is_isolated { Ok(()) } else { Err(Failure::No(None)) }
    }

    /// What failed, and a line for each group.
    fn table(&self) -> Result<(), Failure> {
        for line in &self.lines {
            let is_shown = self.verbose || line.found.outcome != Outcome::Good;
            if is_shown {
                print(&line.text())?;
            }
        }
        let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for line in &self.lines {
            let (all, bad) = groups.entry(&line.group).or_default();
            *all += 1;
            *bad += usize::from(matches!(line.found.outcome, Outcome::Leak | Outcome::Wrong));
        }
        let width = groups.keys().map(|name| name.len()).max().unwrap_or(0);
        for (name, (all, bad)) in groups {
            let (style, word) = if bad == 0 { (GOOD, "ok") } else { (BAD, "FAILED") };
            let failed = if bad == 0 { String::new() } else { format!(", {bad} failed") };
            print(&format!("{style}{word:6}{style:#}  {name:width$}  {all:>3} checks{failed}\n"))?;
        }
        Ok(())
    }
}

impl Line {
    fn word(&self) -> (Style, &'static str) {
        match self.found.outcome {
            Outcome::Good => (GOOD, "ok"),
            Outcome::Leak => (BAD, "LEAK"),
            Outcome::Wrong => (BAD, "FAILED"),
            Outcome::Unchecked => (NOTE, "not checked"),
        }
    }

    fn text(&self) -> String {
        let (style, word) = self.word();
        let tenant = if self.tenant.is_empty() { String::new() } else { format!("{}: ", self.tenant) };
        let mut out = format!("{style}{word:6}{style:#}  {}: {tenant}{}\n", self.group, self.what);
        if !self.found.detail.is_empty() {
            out += &format!("        {}\n", self.found.detail);
        }
        if self.found.outcome != Outcome::Good && self.found.outcome != Outcome::Unchecked && !self.request.is_empty() {
            out += &format!("        {NOTE}{}{NOTE:#}\n", super::super::http::shortened(&self.request, 300));
        }
        out
    }

    fn json(&self) -> Value {
        let outcome = match self.found.outcome {
            Outcome::Good => "ok",
            Outcome::Leak => "leak",
            Outcome::Wrong => "failed",
            Outcome::Unchecked => "unchecked",
        };
        json!({"endpoint": self.group, "tenant": self.tenant, "what": self.what, "request": self.request, "outcome": outcome,
            "detail": self.found.detail})
    }
}

/// On a terminal, how far it is.
pub fn progress(done: usize, all: usize) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // Nobody minds if it can't be shown.
        let _ = write!(err, "\r\x1b[Kcheck {} of {all}", done + 1);
        let _ = err.flush();
    }
}

pub fn progress_ends() {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K");
    }
}
