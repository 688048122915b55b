//! Seeded PromQL: type-correct queries that reach every production of Prometheus's grammar (promql/parser/generated_parser.y and
//! lex.go, v0.316.0), and mutations of them that explore what is refused. The same seed gives the same query, on every machine.
//!
//! ```text
//! expr      vectors, scalars, range vectors and strings, where each is allowed
//! call      function and aggregation calls, with their argument types
//! selector  names, matchers, modifiers
//! literal   strings, numbers, durations, duration expressions
//! text      tokens → text, with the white space and comments that the lexer allows
//! mutate    text → broken text
//! ```
#![allow(dead_code, unreachable_pub)] // each test target uses a part of it

mod call;
mod expr;
mod literal;
mod mutate;
mod rng;
mod selector;
mod text;

pub use rng::Rng;

/// The label for which generated queries sometimes have matchers of their own, in all spellings.
pub const TENANT_LABEL: &str = "tenant_id";

/// A query that Prometheus should accept. It accepts most of them.
pub fn query(seed: u64) -> Vec<u8> {
    let mut generator = Generator::new(seed);
    generator.query();
    generator.finish()
}

/// A `match[]` value that Prometheus should accept.
pub fn selector(seed: u64) -> Vec<u8> {
    let mut generator = Generator::new(seed);
    generator.bare_selector();
    generator.finish()
}

/// A query with one to three things broken.
pub fn mutated(seed: u64) -> Vec<u8> {
    broken(seed, query)
}

/// A `match[]` value with one to three things broken.
pub fn mutated_selector(seed: u64) -> Vec<u8> {
    broken(seed, selector)
}

fn broken(seed: u64, generate: fn(u64) -> Vec<u8>) -> Vec<u8> {
    let mut rng = Rng::new(seed ^ 0x6d75_7461_7465);
    let mut text = generate(rng.next());
    for _ in 0..=rng.weighted(&[70, 20, 10]) {
        let other = generate(rng.next());
        text = mutate::mutate(&mut rng, text, &other);
    }
    text
}

/// A query under construction: its tokens, which `finish` writes as text.
struct Generator {
    rng: Rng,
    tokens: Vec<String>,
    /// How many more compound expressions may be opened. This bounds the length of queries.
    fuel: usize,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let fuel = rng.pick(&[0, 1, 2, 3, 3, 4, 5, 6, 8, 12, 20]);
        Generator { rng, tokens: Vec::new(), fuel }
    }

    fn token(&mut self, text: impl Into<String>) {
        self.tokens.push(text.into());
    }

    /// A keyword. It is mostly in lower case, as people write it, but Prometheus reads any case.
    fn keyword(&mut self, word: &str) {
        let word = self.rng.any_case(word);
        self.token(word);
    }

    /// Whether another compound expression may be opened. If so, this counts it.
    fn may_grow(&mut self) -> bool {
        let grow = self.fuel > 0;
        self.fuel = self.fuel.saturating_sub(1);
        grow
    }

    fn finish(mut self) -> Vec<u8> {
        text::join(&mut self.rng, &self.tokens).into_bytes()
    }
}
