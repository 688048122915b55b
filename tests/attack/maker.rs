//! Documents of which it is known what is whose.

use super::*;

/// In all that is not the tenant's, and in nothing that is.
pub const MARKS: [&str; 3] = ["team-b", "FOREIGN", "777"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Own,
    Nobodys,
    Templated,
    Foreign,
}

/// Writes documents of which it knows what is whose.
pub struct Maker {
    pub rng: Rng,
    /// Escapes where none are needed.
    pub is_wild: bool,
    is_spaced: bool,
    /// Names that only some readers take for known ones, where they are dropped.
    has_odd_names: bool,
    pub scope: usize,
    pub labelled: Labelled,
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let labelled = match rng.below(10) {
            8 => Labelled::Targets,
            9 => Labelled::TargetMetadata,
            0 => Labelled::Alerts,
            1 => Labelled::Exemplars,
            2 => Labelled::AlertsOfRules,
            _ => Labelled::Rules { shared: rng.chance(50), narrowed: rng.chance(20) },
        };
        Maker {
            is_wild: rng.chance(50),
            is_spaced: rng.chance(40),
            has_odd_names: rng.chance(50),
            scope: rng.below(4),
            labelled,
            rng,
        }
    }

    fn space(&mut self) -> &'static str {
        if self.is_spaced { self.rng.pick(&["", "", "", " ", "\n", "\t ", "\r\n"]) } else { "" }
    }

    /// A string that says this.
    fn text(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            let is_special = matches!(c, '"' | '\\' | '\0'..='\x1f');
            let short = match c {
                '"' => "\\\"",
                '\\' => "\\\\",
                '/' => "\\/",
                '\n' => "\\n",
                _ => "",
            };
            if !short.is_empty() && self.rng.chance(70) {
                out += short;
            } else if is_special || self.is_wild && self.rng.chance(12) {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let hex = format!("{unit:04x}");
                    out +=
                        &if self.rng.chance(50) { format!("\\u{}", hex.to_uppercase()) } else { format!("\\u{hex}") };
                }
            } else {
                out.push(c);
            }
        }
        out + "\""
    }

    fn own(&mut self) -> String {
        let text = self.rng.pick(&[
            "own",
            "own \"q\" \\",
            "own{}[],:",
            "own\nline",
            "own é☃😀",
            "own team-a {{ $value }}",
            "",
        ]);
        self.text(text)
    }

    fn foreign(&mut self) -> String {
        let text = self.rng.pick(&[
            "FOREIGN",
            "FOREIGN \"}]",
            "a team-b",
            "FOREIGN\\",
            "é777",
            "FOREIGN \"labels\":{\"tenant_id\":\"team-a\"}",
        ]);
        self.text(text)
    }

    fn mark(&mut self, is_own: bool) -> String {
        if is_own { self.own() } else { self.foreign() }
    }

    /// Any value.
    fn junk(&mut self, is_own: bool, depth: usize) -> String {
        match self.rng.below(if depth == 0 { 5 } else { 8 }) {
            0 => (if is_own { "1.5e3" } else { "777" }).to_owned(),
            1 | 2 if is_own => self.rng.pick(&["null", "true"]).to_owned(),
            1..=4 => self.mark(is_own),
            5 => {
                let items: Vec<String> = (0..self.rng.below(3)).map(|_| self.junk(is_own, depth - 1)).collect();
                self.array(&items)
            }
            6 => {
                let members =
                    (0..self.rng.below(3)).map(|_| (self.mark(is_own), self.junk(is_own, depth - 1))).collect();
                self.object(members)
            }
            _ => {
                // As the tenant's, in what isn't.
                let members = vec![
                    ("\"labels\"".to_owned(), "{\"tenant_id\":\"team-a\"}".to_owned()),
                    ("\"alerts\"".to_owned(), "[]".to_owned()),
                    ("\"rules\"".to_owned(), self.junk(is_own, 0)),
                ];
                self.object(members)
            }
        }
    }

    /// In any order.
    fn object(&mut self, mut members: Vec<(String, String)>) -> String {
        for at in (1..members.len()).rev() {
            if self.is_wild {
                members.swap(at, self.rng.below(at + 1));
            }
        }
        let mut out = String::from("{");
        for (at, (name, value)) in members.iter().enumerate() {
            let spaces = [self.space(), self.space(), self.space(), self.space()];
            out += if at > 0 { "," } else { "" };
            out += &format!("{}{name}{}:{}{value}{}", spaces[0], spaces[1], spaces[2], spaces[3]);
        }
        out + self.space() + "}"
    }

    fn array(&mut self, items: &[String]) -> String {
        let mut out = String::from("[");
        for (at, item) in items.iter().enumerate() {
            out += if at > 0 { "," } else { "" };
            out += self.space();
            out += item;
            out += self.space();
        }
        out + self.space() + "]"
    }

    /// Members that only some readers would take for the known ones; they are dropped where they stand.
    fn odd(&mut self, members: &mut Vec<(String, String)>, names: &[&str]) {
        if self.has_odd_names && self.rng.chance(30) {
            let name = self.rng.pick(names);
            let value = self.junk(false, 2);
            members.push((name.to_owned(), value));
        }
    }

    fn named(name: &str) -> String {
        format!("\"{name}\"")
    }

    /// A set of labels; none where there is none.
    fn labels(&mut self, kind: Kind, is_own: bool) -> Option<String> {
        let several = self.scope == 2;
        let own = if matches!(self.scope, 1 | 3) { self.rng.pick(&["team-a", "team-c"]) } else { "team-a" };
        let mut labels = vec![("tenant_id", own)];
        if several {
            labels.push(("cluster", self.rng.pick(&["eu-1", "eu-22"])));
            if self.rng.chance(50) {
                labels.push(("env", self.rng.pick(&["prod", "", "dev2"])));
            }
        }
        match kind {
            Kind::Own => {}
            Kind::Nobodys => {
                let at = self.rng.below(if several { 2 } else { 1 });
                labels.remove(at);
                if several && self.rng.chance(50) {
                    labels.retain(|(name, _)| *name == "env");
                }
                if self.rng.chance(10) {
                    return if self.rng.chance(50) { None } else { Some("null".to_owned()) };
                }
            }
            Kind::Templated => {
                let template = self.rng.pick(&["{{ $labels.tenant_id }}", "x{{.}}", "team-a{{ 1 }}", "{{"]);
                let at = self.rng.below(labels.len());
                labels[at].1 = template;
                if self.rng.chance(20) && labels.len() > 1 {
                    labels.retain(|(_, value)| *value == template);
                }
            }
            Kind::Foreign => {
                let others = [
                    "team-b",
                    "team-b",
                    "team-b",
                    "",
                    "team-a ",
                    "Team-A",
                    "team-aa",
                    "team-a\0",
                    "team-a\n",
                    "team-a|team-c",
                    "t\u{435}am-a",
                    "FOREIGN",
                    "team-(a|c)",
                ];
                match self.rng.below(if several { 3 } else { 1 }) {
                    0 => labels[0].1 = self.rng.pick(&others),
                    1 => labels[1].1 = self.rng.pick(&["us-1", "eu-", "", "eu-1x", "eu-1\n"]),
                    _ => {
                        labels.truncate(2);
                        labels.push(("env", "dev"));
                    }
                }
                if self.rng.chance(20) {
                    labels.retain(|(_, value)| !["team-a", "team-c", "eu-1", "eu-22"].contains(value));
                }
            }
        }
        let mut members: Vec<(String, String)> =
            labels.iter().map(|(name, value)| (self.text(name), self.text(value))).collect();
        for _ in 0..self.rng.below(4) {
            let name = self.rng.pick(&[
                "alertname",
                "Tenant_ID",
                "tenant",
                "TENANT_ID",
                "tenant_id ",
                "tenant_\u{131}d",
                "Env",
                "",
                "team-a",
            ]);
            members.push((self.text(name), self.mark(is_own)));
        }
        Some(self.object(members))
    }

    fn alert(&mut self, kind: Kind, is_shown: bool) -> String {
        let mut members = Vec::new();
        if let Some(labels) = self.labels(kind, is_shown) {
            members.push((Self::named("labels"), labels));
        }
        if self.rng.chance(90) {
            // What nobody will read may be anything.
            let state = self.rng.pick(&["firing", "pending", "inactive", "unknown"]);
            let state = if is_shown || kind == Kind::Nobodys || self.rng.chance(80) {
                self.text(state)
            } else {
                self.junk(false, 2)
            };
            members.push((Self::named("state"), state));
        }
        let annotations = vec![(self.mark(is_shown), self.mark(is_shown))];
        members.push((Self::named("annotations"), self.object(annotations)));
        members.push((Self::named("value"), self.mark(is_shown)));
        if self.rng.chance(20) {
            members.push((Self::named("new"), self.junk(is_shown, 3)));
        }
        self.object(members)
    }

    fn kind(&mut self) -> Kind {
        [Kind::Own, Kind::Nobodys, Kind::Templated, Kind::Foreign][self.rng.weighted(&[30, 15, 10, 45])]
    }

    /// A rule, whether it is kept, and whether it is kept whole.
    fn rule(&mut self, shared: bool) -> (String, bool, bool) {
        let kind = self.kind();
        let is_alerting = self.rng.chance(70);
        let kinds: Vec<Kind> =
            if is_alerting { (0..self.rng.below(5)).map(|_| self.kind()).collect() } else { Vec::new() };
        let is_own = kind == Kind::Own;
        let is_kept = is_own || shared && kind != Kind::Foreign && kinds.contains(&Kind::Own);
        let shows = |alert: Kind| is_kept && (alert == Kind::Own || is_own && alert == Kind::Nobodys);
        let mut members = Vec::new();
        if is_alerting {
            let alerts: Vec<String> = kinds.iter().map(|alert| self.alert(*alert, shows(*alert))).collect();
            let alerts = if alerts.is_empty() && self.rng.chance(30) { "null".to_owned() } else { self.array(&alerts) };
            let state = self.rng.pick(&["firing", "pending", "inactive", "unknown"]);
            members.push((Self::named("state"), self.text(state)));
            members.push((Self::named("alerts"), alerts));
            members.push((Self::named("duration"), (if is_kept { "60" } else { "777" }).to_owned()));
        }
        for name in ["name", "query", "annotations", "health", "lastEvaluation", "type"] {
            if self.rng.chance(80) {
                members.push((Self::named(name), self.mark(is_kept)));
            }
        }
        if let Some(labels) = self.labels(kind, is_kept) {
            members.push((Self::named("labels"), labels));
        }
        if self.rng.chance(50) {
            members.push((Self::named("lastError"), self.foreign()));
        }
        members.push((Self::named("evaluationTime"), (if is_own { "0.5" } else { "777.5" }).to_owned()));
        if self.rng.chance(30) {
            members.push((Self::named("new"), self.junk(is_own, 3)));
        }
        let is_whole = is_own && kinds.iter().all(|alert| shows(*alert));
        (self.object(members), is_kept, is_whole)
    }

    fn group(&mut self, shared: bool, narrowed: bool) -> String {
        let rules: Vec<(String, bool, bool)> = (0..self.rng.below(5)).map(|_| self.rule(shared)).collect();
        let is_kept = rules.iter().any(|(_, is_kept, _)| *is_kept);
        let is_whole = !narrowed && rules.iter().all(|(.., is_whole)| *is_whole);
        let rules: Vec<String> = rules.into_iter().map(|(text, ..)| text).collect();
        let rules = if rules.is_empty() && self.rng.chance(50) { "null".to_owned() } else { self.array(&rules) };
        let mut members = vec![
            (Self::named("name"), self.mark(is_kept)),
            (Self::named("rules"), rules),
            (Self::named("file"), self.mark(is_kept)),
        ];
        if self.rng.chance(90) {
            members
                .push((Self::named("evaluationTime"), (if is_kept && is_whole { "0.25" } else { "777.7" }).to_owned()));
        }
        for name in ["interval", "limit", "lastEvaluation", "partialResponseStrategy"] {
            if self.rng.chance(60) {
                members.push((Self::named(name), self.junk(is_kept, 1)));
            }
        }
        self.odd(
            &mut members,
            &[
                "\"new\"",
                "\"Rules\"",
                "\"rul\\u0065s\"",
                "\"evaluationtime\"",
                "\"NAME\"",
                "\"totals\"",
                "\"r\u{fc}les\"",
                "\"team-b\"",
                "\"\\ud800\"",
            ],
        );
        self.object(members)
    }

    fn messages(&mut self) -> String {
        let items: Vec<String> = (0..self.rng.below(4))
            .map(|_| match self.rng.below(5) {
                0 => self.text("PromQL warning: own"),
                1 => self.text("PromQL info: own \"up\" (1:6)"),
                2 => self.text("PromQL warning: FOREIGN\nreceive series from team-b"),
                3 => {
                    let text = format!("receive series from team-b {}", "777".repeat(self.rng.below(40)));
                    self.text(&text)
                }
                _ => self.foreign(),
            })
            .collect();
        self.array(&items)
    }

    pub fn document(&mut self) -> String {
        let count = self.rng.below(5);
        let data = match self.labelled {
            _ if self.rng.chance(3) => "null".to_owned(),
            Labelled::Rules { shared, narrowed } => {
                let groups: Vec<String> = (0..count).map(|_| self.group(shared, narrowed)).collect();
                self.listed("groups", &groups)
            }
            Labelled::AlertsOfRules => {
                let groups: Vec<String> = (0..count).map(|_| self.group(true, false)).collect();
                self.listed("groups", &groups)
            }
            Labelled::Alerts => {
                let alerts: Vec<String> = (0..count * 2)
                    .map(|_| {
                        let kind = self.kind();
                        self.alert(kind, kind == Kind::Own)
                    })
                    .collect();
                self.listed("alerts", &alerts)
            }
            Labelled::Exemplars => {
                let series = self.items("seriesLabels", count * 2);
                self.array(&series)
            }
            Labelled::TargetMetadata => {
                let entries = self.items("target", count * 2);
                self.array(&entries)
            }
            Labelled::Targets => {
                let (active, dropped) = (self.items("labels", count), self.items("discoveredLabels", count));
                let counts = vec![(Self::named("pool of team-b"), "7".to_owned())];
                let members = vec![
                    (Self::named("activeTargets"), self.array(&active)),
                    (Self::named("droppedTargets"), self.array(&dropped)),
                    (Self::named("droppedTargetCounts"), self.object(counts)),
                ];
                self.object(members)
            }
        };
        let mut members = vec![(Self::named("status"), Self::named("success")), (Self::named("data"), data)];
        for name in ["warnings", "infos"] {
            if self.rng.chance(40) {
                let messages = if self.rng.chance(10) { "null".to_owned() } else { self.messages() };
                members.push((Self::named(name), messages));
            }
        }
        if self.rng.chance(10) {
            members.push((Self::named("error"), self.foreign()));
        }
        if self.rng.chance(20) {
            let name = self.rng.pick(&["results", "has_more"]);
            members.push((Self::named(name), self.junk(false, 3)));
        }
        self.odd(
            &mut members,
            &[
                "\"new\"",
                "\"Data\"",
                "\"d\\u0061ta\"",
                "\"statu\\u0073\"",
                "\"WARNINGS\"",
                "\"team-b\"",
                "\"\u{17f}tatus\"",
                "\"\"",
            ],
        );
        let (before, after) = (self.space(), self.space());
        format!("{before}{}{after}", self.object(members))
    }

    /// Members of a list, whose labels have this name.
    fn items(&mut self, name: &str, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| {
                let kind = self.kind();
                let is_own = kind == Kind::Own;
                let labels = self.labels(kind, is_own);
                let mut members: Vec<_> = labels.into_iter().map(|labels| (Self::named(name), labels)).collect();
                let inner = vec![
                    (Self::named("labels"), self.labels(Kind::Own, is_own).unwrap_or_default()),
                    (Self::named("value"), self.mark(is_own)),
                ];
                let inner = [self.object(inner)];
                members.push((Self::named("exemplars"), self.array(&inner)));
                self.object(members)
            })
            .collect()
    }

    fn listed(&mut self, name: &str, items: &[String]) -> String {
        let list = if items.is_empty() && self.rng.chance(30) { "null".to_owned() } else { self.array(items) };
        let mut members = vec![(Self::named(name), list)];
        if self.rng.chance(20) {
            members.push((Self::named("groupNextToken"), self.foreign()));
        }
        self.odd(
            &mut members,
            &[
                "\"new\"",
                "\"Groups\"",
                "\"gro\\u0075ps\"",
                "\"ALERTS\"",
                "\"alert\\u0073\"",
                "\"team-b\"",
                "\"\\ud83d\"",
            ],
        );
        self.object(members)
    }

    /// Ends it early, or goes on behind its end.
    pub fn cut(&mut self, body: &mut Vec<u8>) {
        match self.rng.below(3) {
            0 => body.truncate(self.rng.below(body.len())),
            1 => {
                let more = self.rng.pick(&[
                    "x",
                    "{}",
                    "{\"team-b\":1}",
                    "FOREIGN",
                    ",",
                    "}",
                    "\0",
                    "null",
                    "[777]",
                    "\u{feff}",
                    "\u{85}",
                ]);
                body.extend_from_slice(more.as_bytes());
            }
            _ => {
                let more = self.rng.pick(&["\u{feff}", "x", "[", "{", "null", "\u{a0}", "\x0c", "{}", "//team-b\n"]);
                body.splice(0..0, more.bytes());
            }
        }
    }

    /// Changes it somewhere: bytes, tokens, members.
    pub fn mutate(&mut self, body: &mut Vec<u8>) {
        const PIECES: &[&[u8]] = &[
            b"\"labels\":{\"tenant_id\":\"team-a\"},",
            b"\"labels\":{\"tenant_id\":\"team-b\"},",
            b"\"labels\":null,",
            b"\"Labels\":{},",
            b"\"l\\u0061bels\":{},",
            b"\"alerts\":[],",
            b"\"alerts\":null,",
            b"\"alerts\":[{\"labels\":{\"tenant_id\":\"team-b\"},\"state\":\"firing\"}],",
            b"\"rules\":[],",
            b"\"groups\":[],",
            b"\"data\":null,",
            b"\"data\":{},",
            b"\"state\":\"firing\",",
            b"\"lastError\":\"FOREIGN\",",
            b"\"tenant_id\":\"team-a\",",
            b"\"tenant\\u005fid\":\"team-b\",",
            b"\"evaluationTime\":777,",
            b"{},",
            b"[],",
            b"null,",
            b"null",
            b"{}",
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\"",
            b"\\",
            b"\\u",
            b"\\ud800",
            b"\\udc00",
            b"\\\"",
            b"\0",
            b"\x1f",
            b"\n",
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf",
            b"0",
            b"-",
            b"1e999",
            b"tru",
            b"\"\"",
            b"\"x\":",
            b"\"a\":1,",
            b"},{",
            b"]},{\"rules\":[",
        ];
        for _ in 0..=self.rng.weighted(&[50, 30, 15, 5]) {
            let tokens = tokens(body);
            let some = |rng: &mut Rng| tokens.get(rng.below(tokens.len().max(1))).cloned().unwrap_or(0..0);
            match self.rng.below(10) {
                0 => drop(body.splice(some(&mut self.rng), [])),
                1 => {
                    let (from, to) = (some(&mut self.rng), some(&mut self.rng));
                    let copy = body[from].to_vec();
                    body.splice(to, copy);
                }
                2 | 3 => {
                    let at = some(&mut self.rng).start;
                    let piece = self.rng.pick(PIECES);
                    body.splice(at..at, piece.iter().copied());
                }
                4 => {
                    let at = self.rng.below(body.len() + 1);
                    let piece = self.rng.pick(PIECES);
                    body.splice(at..at, piece.iter().copied());
                }
                5 => {
                    let at = self.rng.below(body.len().max(1));
                    if let Some(byte) = body.get_mut(at) {
                        *byte ^= 1 << self.rng.below(8);
                    }
                }
                6 | 7 => {
                    // A span of tokens is taken out, or moved, or comes twice.
                    let (one, other) = (some(&mut self.rng), some(&mut self.rng));
                    let span = one.start.min(other.start)..one.end.max(other.end);
                    let span = span.start..span.end.min(span.start + 400);
                    let copy = body[span.clone()].to_vec();
                    if self.rng.chance(50) {
                        body.splice(span, []);
                    }
                    let at = some(&mut self.rng).start.min(body.len());
                    if self.rng.chance(70) {
                        body.splice(at..at, copy);
                    }
                }
                8 => {
                    // A string becomes another's.
                    let to = some(&mut self.rng);
                    if body.get(to.start) == Some(&b'"') {
                        let text = self.rng.pick(&[
                            "\"labels\"",
                            "\"alerts\"",
                            "\"state\"",
                            "\"rules\"",
                            "\"groups\"",
                            "\"data\"",
                            "\"tenant_id\"",
                            "\"team-a\"",
                            "\"team-b\"",
                            "\"Alerts\"",
                            "\"rule\\u0073\"",
                            "\"seriesLabels\"",
                            "\"evaluationTime\"",
                            "\"{{ x }}\"",
                            "\"cluster\"",
                            "\"env\"",
                            "\"dev\"",
                            "\"eu-1\"",
                            "\"label\u{17f}\"",
                        ]);
                        body.splice(to, text.bytes());
                    }
                }
                _ => {
                    let at = some(&mut self.rng);
                    let depth = self.rng.pick(&[1, 3, 63, 64, 65, 100]);
                    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
                    if self.rng.chance(10) {
                        body.splice(at, nested.bytes());
                    }
                }
            }
        }
    }
}

/// Where tokens stand: strings, words, punctuation.
fn tokens(body: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let from = at;
        at += 1;
        if body[from] == b'"' {
            while at < body.len() && body[at] != b'"' {
                at += if body[at] == b'\\' { 2 } else { 1 };
            }
            at = (at + 1).min(body.len());
        } else if body[from].is_ascii_alphanumeric() {
            while at < body.len() && (body[at].is_ascii_alphanumeric() || b".+-".contains(&body[at])) {
                at += 1;
            }
        } else if body[from].is_ascii_whitespace() {
            continue;
        }
        all.push(from..at);
    }
    all
}
