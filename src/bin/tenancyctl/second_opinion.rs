//! The second opinion: does another parser see the matchers on every selector of a rewritten text?
//!
//! promql-parser is asked, never in the data path (feature `cli`). Its visitor skips aggregation parameters, the very place
//! where selectors are forgotten, so the walk is our own; it has no wildcard arm.

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{self, Expr};

/// What the other parser says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// It reads the text, and every selector carries the matchers.
    Agrees {
        /// How many it found.
        selectors: usize,
    },
    /// It reads the text, and these selectors lack a matcher.
    Open {
        /// As it prints them.
        selectors: Vec<String>,
    },
    /// It can't read the text, so it has no opinion. It knows an older grammar than the filter.
    Unread {
        /// In its words.
        reason: String,
    },
}

/// The matchers that are looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    matchers: Vec<(String, Operator, String)>,
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl Wanted {
    /// All of these: label, operator, and the text or pattern as it is compared.
    pub fn all(matchers: &[(&str, Operator, &str)]) -> Self {
        let owned = |&(label, operator, value): &(&str, Operator, &str)| (label.into(), operator, value.into());
        Wanted { matchers: matchers.iter().map(owned).collect() }
    }

    /// One tenant: `label="value"`. Several: `label=~"a|b"`, each value quoted.
    pub fn new(label: &str, values: &[&str]) -> Self {
        match values {
            [value] => Wanted::all(&[(label, Operator::Equal, value)]),
            values => {
                let quoted: Vec<String> = values.iter().map(|value| quote_regex(value)).collect();
                Wanted::all(&[(label, Operator::Regex, &quoted.join("|"))])
            }
        }
    }

    /// All that a pattern matches, but not the empty value: `label=~"pattern",label!=""`.
    pub fn pattern(label: &str, pattern: &str) -> Self {
        Wanted::all(&[(label, Operator::Regex, pattern), (label, Operator::NotEqual, "")])
    }

    fn are_carried(&self, found: &Matchers) -> bool {
        // `{a="b" or c="d"}` is VictoriaMetrics's: each alternative would need the matchers. The filter never writes it.
        found.or_matchers.is_empty()
            && self.matchers.iter().all(|wanted| found.matchers.iter().any(|matcher| is(matcher, wanted)))
    }
}

fn is(matcher: &Matcher, (label, operator, value): &(String, Operator, String)) -> bool {
    let found = match matcher.op {
        MatchOp::Equal => Operator::Equal,
        MatchOp::NotEqual => Operator::NotEqual,
        MatchOp::Re(_) => Operator::Regex,
        MatchOp::NotRe(_) => Operator::NotRegex,
    };
    found == *operator && matcher.name == *label && matcher.value == *value
}

/// Asks promql-parser about a rewritten text.
pub fn second_opinion(text: &str, wanted: &Wanted) -> Opinion {
    /// It takes time that grows with the square of the length.
    const LONGEST: usize = 16 << 10;
    /// It counts no depth: the stack has to be enough for the longest text. Only what is used is taken.
    const STACK: usize = 256 << 20;
    if text.len() > LONGEST {
        return Opinion::Unread { reason: format!("longer than {LONGEST} bytes") };
    }
    let ask = || match parser::parse(text) {
        Ok(tree) => {
            let mut walk = Walk { wanted, selectors: 0, open: Vec::new() };
            walk.expr(&tree);
            match walk.open.is_empty() {
                true => Opinion::Agrees { selectors: walk.selectors },
                false => Opinion::Open { selectors: walk.open },
            }
        }
        Err(reason) => Opinion::Unread { reason },
    };
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, ask);
        match asked.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(opinion)) => opinion,
            Ok(Err(_)) => Opinion::Unread { reason: "promql-parser panicked".into() },
            Err(error) => Opinion::Unread { reason: error.to_string() },
        }
    })
}

struct Walk<'w> {
    wanted: &'w Wanted,
    selectors: usize,
    open: Vec<String>,
}

impl Walk<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Aggregate(aggregate) => {
                self.expr(&aggregate.expr);
                if let Some(parameter) = &aggregate.param {
                    self.expr(parameter);
                }
            }
            Expr::Unary(unary) => self.expr(&unary.expr),
            Expr::Binary(binary) => {
                self.expr(&binary.lhs);
                self.expr(&binary.rhs);
            }
            Expr::Paren(paren) => self.expr(&paren.expr),
            Expr::Subquery(subquery) => self.expr(&subquery.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
            Expr::VectorSelector(selector) => self.selector(&selector.matchers, &selector.to_string()),
            Expr::MatrixSelector(selector) => self.selector(&selector.vs.matchers, &selector.to_string()),
            Expr::Call(call) => {
                for argument in &call.args.args {
                    self.expr(argument);
                }
            }
            // Never parsed, only built by others: what is in it isn't known.
            Expr::Extension(extension) => self.open.push(format!("{extension:?}")),
        }
    }

    fn selector(&mut self, matchers: &Matchers, printed: &str) {
        self.selectors += 1;
        if !self.wanted.are_carried(matchers) {
            self.open.push(printed.to_owned());
        }
    }
}

/// As Go's `regexp.QuoteMeta`; written here once more, so that the opinion doesn't rest on the filter's own quoting.
fn quote_regex(value: &str) -> String {
    let mut quoted = String::new();
    for c in value.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
