//! Calls: every function of Prometheus v0.316.0 (promql/parser/functions.go) with its argument types, every aggregation operator.

use super::Generator;

/// `v` is a vector, `s` a scalar, `r` a range vector, `t` a string. An argument with a capital letter is optional. `+` repeats the last argument
/// up to three times.
const VECTOR_FUNCTIONS: &[(&str, &str)] = &[
    ("abs", "v"),
    ("absent", "v"),
    ("absent_over_time", "r"),
    ("acos", "v"),
    ("acosh", "v"),
    ("asin", "v"),
    ("asinh", "v"),
    ("atan", "v"),
    ("atanh", "v"),
    ("avg_over_time", "r"),
    ("ceil", "v"),
    ("changes", "r"),
    ("clamp", "vss"),
    ("clamp_max", "vs"),
    ("clamp_min", "vs"),
    ("cos", "v"),
    ("cosh", "v"),
    ("count_over_time", "r"),
    ("days_in_month", "V"),
    ("day_of_month", "V"),
    ("day_of_week", "V"),
    ("day_of_year", "V"),
    ("deg", "v"),
    ("delta", "r"),
    ("deriv", "r"),
    ("exp", "v"),
    ("first_over_time", "r"),
    ("floor", "v"),
    ("histogram_avg", "v"),
    ("histogram_count", "v"),
    ("histogram_sum", "v"),
    ("histogram_stddev", "v"),
    ("histogram_stdvar", "v"),
    ("histogram_fraction", "ssv"),
    ("histogram_quantile", "sv"),
    ("histogram_quantiles", "vtss+"),
    ("double_exponential_smoothing", "rss"),
    ("hour", "V"),
    ("idelta", "r"),
    ("increase", "r"),
    ("integral", "rS"),
    ("irate", "r"),
    ("label_replace", "vtttt"),
    ("label_join", "vttt+"),
    ("last_over_time", "r"),
    ("ln", "v"),
    ("log10", "v"),
    ("log2", "v"),
    ("mad_over_time", "r"),
    ("max_over_time", "r"),
    ("min_over_time", "r"),
    ("ts_of_first_over_time", "r"),
    ("ts_of_max_over_time", "r"),
    ("ts_of_min_over_time", "r"),
    ("ts_of_last_over_time", "r"),
    ("minute", "V"),
    ("month", "V"),
    ("predict_linear", "rs"),
    ("present_over_time", "r"),
    ("quantile_over_time", "sr"),
    ("rad", "v"),
    ("rate", "r"),
    ("resets", "r"),
    ("round", "vS"),
    ("sgn", "v"),
    ("sin", "v"),
    ("sinh", "v"),
    ("sort", "v"),
    ("sort_desc", "v"),
    ("sort_by_label", "vt+"),
    ("sort_by_label_desc", "vt+"),
    ("sqrt", "v"),
    ("start_timestamp", "v"),
    ("stddev_over_time", "r"),
    ("stdvar_over_time", "r"),
    ("sum_over_time", "r"),
    ("tan", "v"),
    ("tanh", "v"),
    ("timestamp", "v"),
    ("vector", "s"),
    ("year", "V"),
];

/// `start` and similar words are keywords of the lexer, and names of functions here.
const SCALAR_FUNCTIONS: &[(&str, &str)] = &[
    ("scalar", "v"),
    ("scalar", "v"),
    ("time", ""),
    ("pi", ""),
    ("start", ""),
    ("end", ""),
    ("step", ""),
    ("range", ""),
    ("max_of", "ss"),
    ("min_of", "ss"),
];

/// The upstream may know more functions than Prometheus.
const UNKNOWN_FUNCTIONS: &[(&str, &str)] =
    &[("xrate", "r"), ("next_year", "vs"), ("RATE", "r"), ("Max_Of", "ss"), ("töne", "v")];

const AGGREGATIONS: &[(&str, &str)] = &[
    ("avg", "v"),
    ("count", "v"),
    ("group", "v"),
    ("max", "v"),
    ("min", "v"),
    ("stddev", "v"),
    ("stdvar", "v"),
    ("sum", "v"),
    ("sum", "v"),
    ("bottomk", "sv"),
    ("count_values", "tv"),
    ("limitk", "sv"),
    ("limit_ratio", "sv"),
    ("quantile", "sv"),
    ("topk", "sv"),
];

impl Generator {
    pub fn vector_call(&mut self) {
        match self.rng.weighted(&[93, 5, 2]) {
            0 => {
                let (name, arguments) = self.rng.pick(VECTOR_FUNCTIONS);
                self.token(name);
                self.arguments(arguments);
            }
            1 => self.info(),
            _ => {
                let (name, arguments) = self.rng.pick(UNKNOWN_FUNCTIONS);
                self.token(name);
                self.arguments(arguments);
            }
        }
    }

    pub fn scalar_call(&mut self) {
        let (name, arguments) = self.rng.pick(SCALAR_FUNCTIONS);
        self.token(name);
        self.arguments(arguments);
    }

    pub fn aggregation(&mut self) {
        let (name, arguments) = self.rng.pick(AGGREGATIONS);
        self.keyword(name);
        let place = self.rng.below(3);
        if place == 0 {
            self.aggregate_modifier();
        }
        self.arguments(arguments);
        if place == 1 {
            self.aggregate_modifier();
        }
    }

    fn aggregate_modifier(&mut self) {
        let word = self.rng.pick(&["by", "without"]);
        self.keyword(word);
        self.grouping_labels();
    }

    /// `info(v)`, `info(v, {labels})`, `info(v, {__name__="x", labels})`.
    fn info(&mut self) {
        self.token("info");
        self.token("(");
        self.vector();
        if self.rng.chance(85) {
            self.token(",");
            self.data_label_selector();
        }
        self.token(")");
    }

    fn arguments(&mut self, kinds: &str) {
        self.token("(");
        let mut kinds: Vec<char> = kinds.chars().collect();
        if kinds.last() == Some(&'+') {
            kinds.pop();
            if let Some(&last) = kinds.last() {
                kinds.extend(std::iter::repeat_n(last, self.rng.below(3)));
            }
        }
        let mut first = true;
        for kind in kinds {
            if kind.is_ascii_uppercase() && self.rng.chance(40) {
                break;
            }
            if !first {
                self.token(",");
            }
            first = false;
            match kind.to_ascii_lowercase() {
                'v' => self.vector(),
                's' => self.scalar(),
                'r' => self.range_vector(),
                't' => self.string_argument(),
                other => unreachable!("no argument type is called {other}"),
            }
        }
        self.token(")");
    }

    fn string_argument(&mut self) {
        if self.rng.chance(5) { self.parenthesised(Self::string_literal) } else { self.string_literal() }
    }
}
