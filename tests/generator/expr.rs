//! Expressions by type. `primary` forms bind tighter than any operator, so they may stand before `[` or after a matching list.

use super::Generator;

const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2", "</", ">/"];
const COMPARISON: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const SET: &[&str] = &["and", "or", "unless"];

impl Generator {
    pub fn query(&mut self) {
        match self.rng.weighted(&[84, 8, 6, 2]) {
            0 => self.vector(),
            1 => self.scalar(),
            2 => self.range_vector(),
            _ => self.string_literal(),
        }
    }

    pub fn vector(&mut self) {
        if !self.may_grow() {
            return self.selector();
        }
        match self.rng.weighted(&[14, 42, 6, 38]) {
            0 => self.selector(),
            1 => self.vector_binary(),
            2 => {
                let sign = self.rng.pick(&["-", "+"]);
                self.token(sign);
                self.vector_primary();
            }
            _ => self.vector_primary(),
        }
    }

    fn vector_primary(&mut self) {
        if !self.may_grow() {
            return self.selector();
        }
        match self.rng.weighted(&[15, 35, 35, 15]) {
            0 => self.selector(),
            1 => self.aggregation(),
            2 => self.vector_call(),
            _ => self.parenthesised(Self::vector),
        }
    }

    pub fn scalar(&mut self) {
        if !self.may_grow() {
            return self.number_or_duration();
        }
        match self.rng.weighted(&[30, 26, 8, 8, 28]) {
            0 => self.number_or_duration(),
            1 => self.scalar_call(),
            2 => {
                let sign = self.rng.pick(&["-", "+"]);
                self.token(sign);
                self.scalar();
            }
            3 => self.parenthesised(Self::scalar),
            _ => {
                self.scalar();
                if self.rng.chance(25) {
                    let op = self.rng.pick(COMPARISON);
                    self.token(op);
                    self.keyword("bool");
                } else {
                    let op = self.rng.pick(ARITHMETIC);
                    self.keyword(op);
                }
                self.scalar();
            }
        }
    }

    pub fn range_vector(&mut self) {
        if self.rng.chance(8) {
            return self.parenthesised(Self::range_vector);
        }
        if self.fuel == 0 || self.rng.chance(65) {
            self.selector_without_modifiers();
            if self.rng.chance(3) {
                self.extension();
            }
            self.range();
        } else {
            self.vector_primary();
            self.subquery_range();
        }
        self.modifiers();
    }

    pub fn parenthesised(&mut self, inside: fn(&mut Self)) {
        self.token("(");
        inside(self);
        self.token(")");
    }

    fn vector_binary(&mut self) {
        match self.rng.weighted(&[40, 15, 25, 20]) {
            0 => {
                let (op, set) = self.vector_operator();
                self.vector_primary();
                self.keyword(op);
                self.matching(op, set);
                self.vector_primary();
            }
            1 => {
                let (op, _) = self.vector_operator();
                self.vector();
                self.keyword(op);
                self.vector();
            }
            2 => {
                let op = self.scalar_operator();
                self.vector();
                self.token(op);
                self.scalar();
            }
            _ => {
                let op = self.scalar_operator();
                self.scalar();
                self.token(op);
                self.vector_primary();
            }
        }
    }

    fn scalar_operator(&mut self) -> String {
        let choices = if self.rng.chance(50) { ARITHMETIC } else { COMPARISON };
        let op = self.rng.pick(choices);
        self.rng.any_case(op)
    }

    /// An operator between two vectors, and whether it is a set operator.
    fn vector_operator(&mut self) -> (&'static str, bool) {
        match self.rng.below(3) {
            0 => (self.rng.pick(ARITHMETIC), false),
            1 => (self.rng.pick(COMPARISON), false),
            _ => (self.rng.pick(SET), true),
        }
    }

    /// `bool`, `on`/`ignoring`, `group_left`/`group_right`, `fill` in the order that the grammar wants.
    fn matching(&mut self, op: &str, set: bool) {
        if COMPARISON.contains(&op) && self.rng.chance(40) {
            self.keyword("bool");
        }
        if self.rng.chance(60) {
            let on = self.rng.chance(50);
            self.keyword(if on { "on" } else { "ignoring" });
            self.grouping_labels();
            if !set && self.rng.chance(40) {
                let side = self.rng.pick(&["group_left", "group_right"]);
                self.keyword(side);
                if self.rng.chance(15) {
                    // Without labels, what follows must not be read as labels.
                    return self.selector_guard();
                }
                if on {
                    // A label must not be in both lists.
                    self.token("(");
                    if self.rng.chance(50) {
                        self.token("included");
                    }
                    self.token(")");
                } else {
                    self.grouping_labels();
                }
            }
        }
        if !set && self.rng.chance(25) {
            match self.rng.below(5) {
                0 => self.fill("fill"),
                1 => self.fill("fill_left"),
                2 => self.fill("fill_right"),
                3 => {
                    self.fill("fill_left");
                    self.fill("fill_right");
                }
                _ => {
                    self.fill("fill_right");
                    self.fill("fill_left");
                }
            }
        }
    }

    /// An operand that doesn't begin with a parenthesis, with an operator whose right operand is the real one.
    fn selector_guard(&mut self) {
        self.selector();
        self.token("+");
    }

    fn fill(&mut self, word: &str) {
        self.keyword(word);
        self.token("(");
        if self.rng.chance(30) {
            let sign = self.rng.pick(&["-", "+"]);
            self.token(sign);
        }
        self.number_or_duration();
        self.token(")");
    }

    pub fn grouping_labels(&mut self) {
        self.token("(");
        let count = self.rng.weighted(&[10, 45, 30, 15]);
        for index in 0..count {
            if index > 0 {
                self.token(",");
            }
            self.grouping_label();
        }
        if count > 0 && self.rng.chance(10) {
            self.token(",");
        }
        self.token(")");
    }
}
