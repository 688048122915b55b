//! Selectors: metric names and label names in all their forms, matchers (the tenant's own label among them), modifiers.

use super::Generator;

const NAMES: &[&str] = &[
    "up",
    "http_requests_total",
    "a",
    "x_y",
    "job:requests:rate5m",
    ":colon:",
    "_hidden",
    "foo",
    "node_cpu_seconds_total",
];

/// Keywords that the grammar accepts as a metric name (`metric_identifier`).
const KEYWORD_NAMES: &[&str] = &[
    "avg",
    "bottomk",
    "by",
    "count",
    "count_values",
    "fill",
    "fill_left",
    "fill_right",
    "group",
    "and",
    "or",
    "unless",
    "max",
    "min",
    "offset",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "without",
    "start",
    "end",
    "limitk",
    "limit_ratio",
    "step",
    "range",
    "anchored",
    "smoothed",
    "max_of",
    "min_of",
];

/// Keywords that the grammar accepts as a label in a list (`maybe_label`).
const KEYWORD_LABELS: &[&str] = &[
    "avg",
    "bool",
    "bottomk",
    "by",
    "count",
    "count_values",
    "group",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
    "ignoring",
    "and",
    "or",
    "unless",
    "max",
    "min",
    "offset",
    "on",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "start",
    "end",
    "atan2",
    "limitk",
    "limit_ratio",
    "step",
    "range",
    "anchored",
    "smoothed",
    "max_of",
    "min_of",
];

/// Names only if the parser's option EnableUnquotedUTF8Names is on.
const UTF8_NAMES: &[&str] =
    &["http.requests", "température", "ñ", "a.b.c", "Ωmega", "指标", "x.9", "größe:rate", "offset.x", "K"];

const LABELS: &[&str] = &["job", "instance", "le", "a", "b", "namespace", "__address__", "code"];

const TENANT_SPELLINGS: &[&str] = &[
    "tenant_id",
    "tenant_id",
    "\"tenant_id\"",
    "'tenant_id'",
    "`tenant_id`",
    "\"tenant\\x5fid\"",
    "\"\\u0074enant_id\"",
    "'\\164enant_id'",
    "\"\\U00000074enant_id\"",
];

const TENANT_VALUES: &[&str] = &["team-a", "team-b", "", "team", "tenant.+"];

/// Texts that are valid as regular expressions and as plain values.
const VALUES: &[&str] = &[
    "a",
    "foo.*",
    "a|b",
    ".+",
    "(?i)get|post",
    "[a-z]+",
    "",
    "5..",
    "^x$",
    "a{2,3}",
    "\\d+",
    "\\.",
    "é",
    "prom\"etheus",
    "it's",
    ".*",
    "(a|b)?c",
    "日本",
    "a`b",
    "tab\there",
];

impl Generator {
    /// A selector with modifiers.
    pub fn selector(&mut self) {
        self.selector_without_modifiers();
        self.modifiers();
    }

    /// A `match[]` value.
    pub fn bare_selector(&mut self) {
        self.selector_without_modifiers();
    }

    pub fn selector_without_modifiers(&mut self) {
        match self.rng.weighted(&[40, 35, 15, 8, 2]) {
            0 => self.metric_name(),
            1 => {
                self.metric_name();
                self.braces(None, self.fuel > 0);
            }
            2 => self.braces(Some(Required::Matcher), true),
            3 => self.braces(Some(Required::Name), true),
            _ => self.braces(None, true),
        }
    }

    /// The second argument of `info()`. It has only matchers, all of which may match the empty string.
    pub fn data_label_selector(&mut self) {
        self.braces(None, true);
    }

    fn metric_name(&mut self) {
        match self.rng.weighted(&[78, 12, 6, 4]) {
            0 => {
                let name = self.rng.pick(NAMES);
                self.token(name);
            }
            1 => {
                let name = self.rng.pick(KEYWORD_NAMES);
                self.keyword(name);
            }
            2 => {
                let name = self.rng.pick(UTF8_NAMES);
                self.token(name);
            }
            _ => {
                // A name that is not a keyword, though it looks like one.
                let name = self.rng.pick(&["summary", "by_x", "infinity", "nano", "e", "x", "sum:", "bool:x"]);
                self.token(name);
            }
        }
    }

    fn braces(&mut self, required: Option<Required>, may_be_long: bool) {
        self.token("{");
        let mut separate = false;
        if let Some(required) = required {
            match required {
                Required::Matcher => self.non_empty_matcher(),
                Required::Name => self.quoted_name(),
            }
            separate = true;
        }
        let count = self.rng.below(if may_be_long { 4 } else { 2 });
        for _ in 0..count {
            if separate {
                self.token(",");
            }
            separate = true;
            self.matcher();
        }
        if separate && self.rng.chance(8) {
            self.token(",");
        }
        self.token("}");
    }

    fn non_empty_matcher(&mut self) {
        match self.rng.below(3) {
            0 => {
                self.label_name();
                self.token("=");
                self.string_of("x");
            }
            1 => {
                self.label_name();
                self.token("!=");
                self.string_of("");
            }
            _ => {
                self.label_name();
                self.token("=~");
                self.string_of(".+");
            }
        }
    }

    fn quoted_name(&mut self) {
        let name = self.rng.pick(&[
            "up",
            "http.requests",
            "with space",
            "日本",
            "{}",
            "a\"b",
            "sum",
            "5xx",
            "new\nline",
            "tab\t",
        ]);
        self.string_of(name);
    }

    fn matcher(&mut self) {
        if self.rng.chance(25) {
            return self.tenant_matcher();
        }
        self.label_name();
        let op = self.rng.pick(&["=", "!=", "=~", "!~"]);
        self.token(op);
        let value = self.rng.pick(VALUES);
        self.string_of(value);
    }

    fn tenant_matcher(&mut self) {
        let name = self.rng.pick(TENANT_SPELLINGS);
        self.token(name);
        let op = self.rng.pick(&["=", "=", "!=", "=~", "!~"]);
        self.token(op);
        let value = self.rng.pick(TENANT_VALUES);
        self.string_of(value);
    }

    fn label_name(&mut self) {
        match self.rng.weighted(&[65, 12, 15, 4, 4]) {
            0 => {
                let name = self.rng.pick(LABELS);
                self.token(name);
            }
            1 => {
                let name = self.rng.pick(KEYWORD_LABELS);
                self.keyword(name);
            }
            2 => {
                let name = self.rng.pick(&["job", "http.status", "with space", "日本", "tenant_ID", "", "5", "\u{7f}"]);
                self.string_of(name);
            }
            3 => {
                let name = self.rng.pick(UTF8_NAMES);
                self.token(name);
            }
            _ => {
                let name = self.rng.pick(&["inf", "NaN", "__name_", "e1", "x"]);
                self.token(name);
            }
        }
    }

    pub fn grouping_label(&mut self) {
        match self.rng.weighted(&[66, 14, 12, 4, 4]) {
            0 => {
                let name = self.rng.pick(LABELS);
                self.token(name);
            }
            1 => {
                let name = self.rng.pick(KEYWORD_LABELS);
                self.keyword(name);
            }
            2 => {
                let name = self.rng.pick(&["job", "http.status", "with space", "日本", "tenant_id"]);
                self.string_of(name);
            }
            3 => {
                let name = self.rng.pick(UTF8_NAMES);
                self.token(name);
            }
            _ => {
                // Only the default parser accepts this.
                let name = self.rng.pick(&["a:b", ":", "job:x"]);
                self.token(name);
            }
        }
    }

    /// `offset`, `@`, `anchored`/`smoothed`, each at most once, in any order.
    pub fn modifiers(&mut self) {
        if self.rng.chance(70) {
            return;
        }
        let mut left = vec![Self::offset as fn(&mut Self), Self::at, Self::extension];
        for _ in 0..=self.rng.below(3) {
            if left.is_empty() {
                break;
            }
            let modifier = left.swap_remove(self.rng.below(left.len()));
            // `anchored` and `smoothed` are rarer, because subqueries don't accept them.
            if modifier as usize == Self::extension as fn(&mut Self) as usize && self.rng.chance(60) {
                continue;
            }
            modifier(self);
        }
    }

    pub fn extension(&mut self) {
        let word = self.rng.pick(&["anchored", "smoothed"]);
        self.keyword(word);
    }

    fn at(&mut self) {
        self.token("@");
        match self.rng.below(4) {
            0 => {
                let word = self.rng.pick(&["start", "end"]);
                self.keyword(word);
                self.token("(");
                self.token(")");
            }
            1 => {
                let sign = self.rng.pick(&["-", "+"]);
                self.token(sign);
                self.finite_number_or_duration();
            }
            _ => self.finite_number_or_duration(),
        }
    }
}

/// What a selector without a name before the braces needs, so that its matchers don't all match the empty string.
enum Required {
    Matcher,
    Name,
}
