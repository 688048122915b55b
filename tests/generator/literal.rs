//! Strings, numbers, durations, duration expressions.

use super::Generator;

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "42",
    "1.5",
    ".5",
    "5.",
    "1e3",
    "1E-3",
    "2e+10",
    "1_000",
    "1_0.2_5",
    "0x1F",
    "0XaB",
    "0x_ff",
    "017",
    "08",
    "0.99",
    "123456789012345678901234567890",
    "9223372036854775807",
    "1e308",
    "007",
    "1e-400",
];
const NOT_FINITE: &[&str] = &["inf", "Inf", "INF", "nan", "NaN", "nAn"];
const DURATIONS: &[&str] = &[
    "5m",
    "1h",
    "30s",
    "1d",
    "1w",
    "1y",
    "100ms",
    "1h30m",
    "1d12h30m",
    "1y2w3d4h5m6s7ms",
    "90s",
    "1h0m",
    "05m",
    "365d",
];

impl Generator {
    pub fn number_or_duration(&mut self) {
        if self.rng.chance(8) {
            let number = self.rng.pick(NOT_FINITE);
            return self.token(number);
        }
        self.finite_number_or_duration();
    }

    pub fn finite_number_or_duration(&mut self) {
        let choices = if self.rng.chance(70) { NUMBERS } else { DURATIONS };
        let literal = self.rng.pick(choices);
        // A time in seconds has to fit into 64 bits. The long numbers don't.
        self.token(literal);
    }

    pub fn string_literal(&mut self) {
        let value = self.rng.pick(&[
            "",
            "a",
            "$1",
            "(.*)",
            "dst",
            ",",
            "le",
            "x y",
            "\\",
            "\"",
            "'",
            "ä",
            "日本",
            "{{}}",
            "# no comment",
            "line\nbreak",
        ]);
        self.string_of(value);
    }

    /// A string token with that value, in one of the three forms, with some of its characters escaped.
    pub fn string_of(&mut self, value: &str) {
        let quote = self.rng.pick(&['"', '"', '"', '\'', '`']);
        if quote == '`' && !value.contains(['`', '\r', '\u{fffd}']) {
            return self.token(format!("`{value}`"));
        }
        let quote = if quote == '`' { '"' } else { quote };
        let mut text = String::from(quote);
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                _ if c == quote => {
                    text.push('\\');
                    text.push(c);
                }
                _ if self.rng.chance(4) => self.escaped(c, &mut text),
                _ => text.push(c),
            }
        }
        text.push(quote);
        self.token(text);
    }

    fn escaped(&mut self, c: char, text: &mut String) {
        let code = u32::from(c);
        match self.rng.below(4) {
            0 if c.is_ascii() => text.push_str(&format!("\\x{code:02x}")),
            1 if c.is_ascii() => text.push_str(&format!("\\{code:03o}")),
            2 if code <= 0xffff => text.push_str(&format!("\\u{code:04X}")),
            _ => text.push_str(&format!("\\U{code:08x}")),
        }
    }

    pub fn range(&mut self) {
        self.token("[");
        self.positive_duration();
        self.token("]");
    }

    pub fn subquery_range(&mut self) {
        self.token("[");
        self.positive_duration();
        self.token(":");
        if self.rng.chance(60) {
            self.positive_duration();
        }
        self.token("]");
    }

    /// `offset` with the forms in which an operator belongs to the offset, or to the expression after it: `offset 5m + 1`.
    pub fn offset(&mut self) {
        self.keyword("offset");
        match self.rng.weighted(&[50, 20, 10, 8, 12]) {
            0 => self.duration_literal(),
            1 => {
                self.sign();
                self.duration_literal();
            }
            2 => {
                if self.rng.chance(50) {
                    self.sign();
                }
                self.duration_call(1);
            }
            3 => {
                self.sign();
                self.parenthesised_duration(2);
            }
            _ => self.parenthesised_duration(2),
        }
    }

    fn positive_duration(&mut self) {
        match self.rng.weighted(&[80, 20]) {
            0 => self.duration_literal(),
            _ => self.duration_expression(2),
        }
    }

    fn duration_literal(&mut self) {
        let choices: &[&str] =
            if self.rng.chance(85) { DURATIONS } else { &["1", "300", "1.5", "0x10", "1e3", "1_000", ".5"] };
        let literal = self.rng.pick(choices);
        self.token(literal);
    }

    fn duration_expression(&mut self, depth: usize) {
        if depth == 0 {
            return self.duration_literal();
        }
        match self.rng.weighted(&[20, 20, 8, 15, 37]) {
            0 => self.duration_literal(),
            1 => self.duration_call(depth),
            2 => {
                self.sign();
                self.duration_call(depth);
            }
            3 => self.parenthesised_duration(depth),
            _ => {
                self.duration_expression(depth - 1);
                let op = self.rng.pick(&["+", "-", "*", "/", "%", "^"]);
                self.token(op);
                self.duration_expression(depth - 1);
            }
        }
    }

    fn parenthesised_duration(&mut self, depth: usize) {
        self.token("(");
        self.duration_expression(depth.saturating_sub(1));
        self.token(")");
    }

    fn duration_call(&mut self, depth: usize) {
        if self.rng.chance(60) {
            let word = self.rng.pick(&["step", "range"]);
            self.keyword(word);
            self.token("(");
        } else {
            let word = self.rng.pick(&["max_of", "min_of"]);
            self.keyword(word);
            self.token("(");
            self.duration_expression(depth.saturating_sub(1));
            self.token(",");
            self.duration_expression(depth.saturating_sub(1));
        }
        self.token(")");
    }

    fn sign(&mut self) {
        let sign = self.rng.pick(&["-", "+"]);
        self.token(sign);
    }
}
