//! The text of a pattern → its instructions. One function for each line of the grammar above.

use super::{Instruction, Place};

/// The most instructions of one pattern: about as many as it has characters, once repetitions are written out.
const MAX_INSTRUCTIONS: usize = 2_000;
/// The deepest nesting of groups.
const MAX_DEPTH: usize = 32;
/// The longest repetition, as in Go.
const MAX_REPETITION: usize = 1_000;

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];

type Code = Result<Vec<Instruction>, &'static str>;

/// Reads what follows the flags.
pub fn code(text: &str, dot_is_all: bool) -> Code {
    let mut reader = Reader { rest: text, dot_is_all, depth: 0 };
    let code = reader.alternation()?;
    match reader.rest {
        "" => Ok(code),
        _ => Err("a closing parenthesis without an opening one"),
    }
}

struct Reader<'a> {
    rest: &'a str,
    dot_is_all: bool,
    depth: usize,
}

impl Reader<'_> {
    fn alternation(&mut self) -> Code {
        let mut branches = vec![self.sequence()?];
        let mut length = 0;
        while self.eat("|") {
            let branch = self.sequence()?;
            length += branch.len() + 2;
            check(length)?;
            branches.push(branch);
        }
        let mut code = branches.pop().unwrap_or_default();
        while let Some(branch) = branches.pop() {
            let mut both = vec![Instruction::Split(1, branch.len() as isize + 2)];
            both.extend(branch);
            both.push(Instruction::Jump(code.len() as isize + 1));
            both.extend(code);
            code = both;
        }
        bounded(code)
    }

    fn sequence(&mut self) -> Code {
        let mut code = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            if self.repetition()?.is_some() {
                return Err("a repetition of nothing");
            }
            let atom = self.atom()?;
            let atom = match self.repetition()? {
                Some((least, most)) => {
                    if self.repetition()?.is_some() {
                        return Err("one repetition right behind another");
                    }
                    repeated(atom, least, most)?
                }
                None => atom,
            };
            code.extend(atom);
            code = bounded(code)?;
        }
        Ok(code)
    }

    /// The least and the most; `None` for the most: no bound.
    fn repetition(&mut self) -> Result<Option<(usize, Option<usize>)>, &'static str> {
        let found = if self.eat("*") {
            (0, None)
        } else if self.eat("+") {
            (1, None)
        } else if self.eat("?") {
            (0, Some(1))
        } else {
            // Not a repetition: a brace, as PromQL has many.
            let Some((inside, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                return Ok(None);
            };
            let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
            // `{01}` is no repetition to Go.
            let is_number = |text: &str| match text.as_bytes() {
                [] | [b'0', _, ..] => false,
                digits => digits.iter().all(u8::is_ascii_digit),
            };
            if !is_number(least) || !(most.is_empty() || is_number(most)) {
                return Ok(None);
            }
            let number = |text: &str| text.parse().ok().filter(|&n| n <= MAX_REPETITION).ok_or("a repetition too long");
            let least = number(least)?;
            let most = if most.is_empty() { None } else { Some(number(most)?) };
            if most.is_some_and(|most| most < least) {
                return Err("a repetition whose end is before its begin");
            }
            self.rest = rest;
            (least, most)
        };
        // It changes what is captured, not what matches.
        self.eat("?");
        Ok(Some(found))
    }

    fn atom(&mut self) -> Code {
        if self.eat("(") {
            if self.rest.starts_with('?') && !self.eat("?:") {
                return Err("groups have no names or flags here");
            }
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err("groups are nested too deeply");
            }
            let code = self.alternation()?;
            self.depth -= 1;
            return if self.eat(")") { Ok(code) } else { Err("a group without its closing parenthesis") };
        }
        if self.eat("[") {
            return self.class().map(|one| vec![one]);
        }
        let one = match self.next() {
            Some('.') if self.dot_is_all => negated(&[]),
            Some('.') => negated(&[('\n', '\n')]),
            Some('^') => Instruction::At(Place::Begin),
            Some('$') => Instruction::At(Place::End),
            Some('\\') => match self.next() {
                Some('b') => Instruction::At(Place::WordBoundary),
                Some('B') => Instruction::At(Place::NoWordBoundary),
                Some('A') => Instruction::At(Place::Begin),
                Some('z') => Instruction::At(Place::End),
                Some(letter) => match named_class(letter) {
                    Some((true, ranges)) => negated(ranges),
                    Some((false, ranges)) => positive(ranges),
                    None => literal(escaped(letter)?),
                },
                None => return Err("it ends with a backslash"),
            },
            Some(character) => literal(character),
            None => return Err("something is missing"),
        };
        Ok(vec![one])
    }

    /// What follows `[`.
    fn class(&mut self) -> Result<Instruction, &'static str> {
        let is_negated = self.eat("^");
        let mut ranges = Vec::new();
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            if self.rest.starts_with("[:") {
                return Err("named classes are not understood");
            }
            let mut after = self.rest.chars();
            if after.next() == Some('\\')
                && let Some((is_negated, named)) = after.next().and_then(named_class)
            {
                self.rest = after.as_str();
                if is_negated {
                    complement(named, &mut ranges);
                } else {
                    ranges.extend_from_slice(named);
                }
                continue;
            }
            let first = self.class_character()?;
            let mut last = first;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest != "-" {
                self.rest = self.rest.strip_prefix('-').unwrap_or_default();
                last = self.class_character()?;
            }
            if last < first {
                return Err("a range whose end is before its begin");
            }
            ranges.push((first, last));
            check(ranges.len())?;
        }
        self.eat("]");
        Ok(Instruction::One { negated: is_negated, ranges })
    }

    fn class_character(&mut self) -> Result<char, &'static str> {
        match self.next() {
            Some('\\') => self.next().map_or(Err("it ends with a backslash"), escaped),
            Some(character) => Ok(character),
            None => Err("a class without its closing bracket"),
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn bounded(code: Vec<Instruction>) -> Code {
    check(code.len()).map(|()| code)
}

/// Before it is put together, since that takes time too.
fn check(length: usize) -> Result<(), &'static str> {
    if length > MAX_INSTRUCTIONS { Err("it is too long, with its repetitions written out") } else { Ok(()) }
}

fn repeated(atom: Vec<Instruction>, least: usize, most: Option<usize>) -> Code {
    let length = atom.len() as isize;
    let copies = most.unwrap_or(least + 1).max(1);
    if (atom.len() + 1).saturating_mul(copies) > MAX_INSTRUCTIONS {
        check(MAX_INSTRUCTIONS + 1)?;
    }
    let mut code = Vec::new();
    for _ in 0..least {
        code.extend_from_slice(&atom);
    }
    match most {
        None => {
            code.push(Instruction::Split(1, length + 2));
            code.extend(atom);
            code.push(Instruction::Jump(-length - 1));
        }
        Some(most) => {
            for _ in least..most {
                code.push(Instruction::Split(1, length + 1));
                code.extend_from_slice(&atom);
            }
        }
    }
    Ok(code)
}

fn positive(ranges: &[(char, char)]) -> Instruction {
    Instruction::One { negated: false, ranges: ranges.to_vec() }
}

fn negated(ranges: &[(char, char)]) -> Instruction {
    Instruction::One { negated: true, ranges: ranges.to_vec() }
}

fn literal(character: char) -> Instruction {
    positive(&[(character, character)])
}

/// `\d` and its like: negated, and the characters.
fn named_class(letter: char) -> Option<(bool, &'static [(char, char)])> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => DIGITS,
        'w' => WORD,
        's' => SPACE,
        _ => return None,
    };
    Some((letter.is_ascii_uppercase(), ranges))
}

/// All characters between and around ranges that are in order.
fn complement(ranges: &[(char, char)], out: &mut Vec<(char, char)>) {
    let mut from = '\0';
    for &(first, last) in ranges {
        // They are ASCII: each has a neighbour.
        if let (Some(before), Some(after)) =
            (char::from_u32((first as u32).wrapping_sub(1)), char::from_u32(last as u32 + 1))
        {
            out.push((from, before));
            from = after;
        }
    }
    out.push((from, char::MAX));
}

fn escaped(letter: char) -> Result<char, &'static str> {
    match letter {
        'a' => Ok('\x07'),
        'f' => Ok('\x0c'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\x0b'),
        _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok(letter),
        _ => Err("an escape that is not understood"),
    }
}
