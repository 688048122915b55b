//! Patterns of the configuration: a part of Go's regular expressions, matched in linear time.
//!
//! ```text
//! pattern     = [ "(?" 1*( "i" / "s" ) ")" ] alternation
//! alternation = sequence *( "|" sequence )
//! sequence    = *( atom [ repetition [ "?" ] ] )
//! repetition  = "*" | "+" | "?" | "{" n "}" | "{" n ",}" | "{" n "," m "}"      another "{" is a character
//! atom        = "." | "^" | "$" | character | escape | "[" class "]" | "(" [ "?:" ] alternation ")"
//! escape      = \d \D \w \W \s \S | \b \B \A \z | \a \f \n \r \t \v | "\" punctuation
//! ```
//!
//! What is written so means what it means in Go's `regexp/syntax`. Whatever else Go knows (named groups, flags of a group, `\pL`,
//! `[[:alpha:]]`, `\x41`, `\Q`) is refused when the configuration is read, so that no pattern is understood differently.
//! A whole engine is larger than all that limits need together: regex-lite 0.1.9 added 63 KB to the module, this is 11.
//!
//! A pattern is a list of instructions, of which all that can be reached are followed at once, character by character: time is at
//! most characters × instructions, and that is bounded. `read` makes the list.

mod read;

use std::cell::Cell;

/// The most steps of all matches of one request: some hundredths of a second.
pub const MAX_STEPS: u32 = 10_000_000;

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    code: Vec<Instruction>,
    /// `(?i)`
    folds: bool,
    /// The whole text has to match, not a part of it.
    whole: bool,
}

/// The matches of one request would take too many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooCostly;

/// Targets are relative, so that a piece of code can be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Instruction {
    /// One of these characters, or, negated, one that is not.
    One {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Only at such a place.
    At(Place),
    /// Go on at both.
    Split(isize, isize),
    Jump(isize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    End,
    WordBoundary,
    NoWordBoundary,
}

impl Pattern {
    /// Reads a pattern. With `whole`, it has to match all of a text, and `.` any character, as in PromQL.
    pub fn parse(text: &str, whole: bool) -> Result<Pattern, &'static str> {
        let mut rest = text;
        let mut dot_is_all = whole;
        let mut folds = false;
        if let Some((flags, after)) = text.strip_prefix("(?").and_then(|text| text.split_once(')'))
            && !flags.is_empty()
            && flags.bytes().all(|flag| matches!(flag, b'i' | b's'))
        {
            folds = flags.contains('i');
            dot_is_all |= flags.contains('s');
            rest = after;
        }
        if folds && !text.is_ascii() {
            return Err("(?i) is understood of ASCII only");
        }
        Ok(Pattern { code: read::code(rest, dot_is_all)?, folds, whole })
    }

    /// Whether a text matches. Takes the steps from those that are left.
    pub fn matches(&self, text: &str, steps: &Cell<u32>) -> Result<bool, TooCostly> {
        let mut now = Threads::new(self.code.len());
        let mut next = Threads::new(self.code.len());
        let mut before = None;
        let mut characters = text.chars();
        loop {
            let rest = characters.as_str();
            let here = characters.next();
            if rest.len() == text.len() || !self.whole {
                now.add(0, &self.code, before, here);
            }
            steps.set(steps.get().checked_sub(1 + now.work).ok_or(TooCostly)?);
            if now.matched && (!self.whole || here.is_none()) {
                return Ok(true);
            }
            let Some(character) = here else { return Ok(false) };
            if self.whole && now.waiting.is_empty() {
                return Ok(false);
            }
            let after = characters.clone().next();
            for &at in &now.waiting {
                if let Some(Instruction::One { negated, ranges }) = self.code.get(at)
                    && self.is_one_of(character, ranges) != *negated
                {
                    next.add(at + 1, &self.code, here, after);
                }
            }
            now.clear();
            std::mem::swap(&mut now, &mut next);
            before = here;
        }
    }

    fn is_one_of(&self, character: char, ranges: &[(char, char)]) -> bool {
        let is_in = |c: char| ranges.iter().any(|&(first, last)| (first..=last).contains(&c));
        if !self.folds {
            return is_in(character);
        }
        // The two characters beyond ASCII whose other case is an ASCII letter.
        let character = match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other,
        };
        is_in(character) || is_in(character.to_ascii_lowercase()) || is_in(character.to_ascii_uppercase())
    }
}

/// Where the match may stand.
struct Threads {
    /// Instructions that wait for a character.
    waiting: Vec<usize>,
    /// Those that were reached.
    seen: Vec<bool>,
    stack: Vec<usize>,
    /// The end was reached.
    matched: bool,
    work: u32,
}

impl Threads {
    fn new(instructions: usize) -> Self {
        Threads { waiting: Vec::new(), seen: vec![false; instructions], stack: Vec::new(), matched: false, work: 0 }
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.seen.fill(false);
        self.matched = false;
        // Clearing is work as well, if of a cheaper kind.
        self.work = (self.seen.len() / 64) as u32;
    }

    /// Adds an instruction, and all that are reached from it without a character.
    fn add(&mut self, at: usize, code: &[Instruction], before: Option<char>, after: Option<char>) {
        self.stack.push(at);
        while let Some(at) = self.stack.pop() {
            self.work = self.work.saturating_add(1);
            let Some(seen) = self.seen.get_mut(at) else {
                self.matched = true;
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            match code.get(at) {
                Some(Instruction::One { negated: _, ranges }) => {
                    // A class is looked through range by range.
                    self.work = self.work.saturating_add((ranges.len() / 4) as u32);
                    self.waiting.push(at);
                }
                Some(Instruction::At(place)) if place.is_between(before, after) => self.stack.push(at + 1),
                Some(Instruction::At(_)) => {}
                Some(Instruction::Split(first, second)) => {
                    self.stack.push(at.wrapping_add_signed(*second));
                    self.stack.push(at.wrapping_add_signed(*first));
                }
                Some(Instruction::Jump(to)) => self.stack.push(at.wrapping_add_signed(*to)),
                None => {}
            }
        }
    }
}

impl Place {
    fn is_between(self, before: Option<char>, after: Option<char>) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        match self {
            Place::Begin => before.is_none(),
            Place::End => after.is_none(),
            Place::WordBoundary => is_word(before) != is_word(after),
            Place::NoWordBoundary => is_word(before) == is_word(after),
        }
    }
}

#[cfg(test)]
mod tests;
