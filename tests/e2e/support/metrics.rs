//! Prometheus's text format, as far as Envoy writes it.

use std::collections::BTreeMap;

/// All stats of one moment.
#[derive(Debug, Clone)]
pub struct Metrics {
    samples: Vec<Sample>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Metrics {
    /// Reads the text; panics where it is malformed.
    pub fn read(text: &str) -> Metrics {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Metrics { samples: lines.map(sample).collect() }
    }

    /// Those of a name that have these labels, and perhaps others.
    pub fn select<'m>(&'m self, name: &'m str, labels: &'m [(&str, &str)]) -> impl Iterator<Item = &'m Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|other| other == value);
            sample.name == name && labels.iter().all(has)
        })
    }

    /// The sum of those; 0 where there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels).map(|sample| sample.value).sum()
    }

    /// The different values of a label.
    pub fn values(&self, name: &str, label: &str) -> Vec<&str> {
        let of_that_name = self.samples.iter().filter(|sample| sample.name == name);
        let mut values: Vec<&str> =
            of_that_name.filter_map(|sample| sample.labels.get(label)).map(String::as_str).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// All names that begin so, each once.
    pub fn names(&self, beginning: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.samples.iter().map(|sample| sample.name.as_str()).collect();
        names.retain(|name| name.starts_with(beginning));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// For a failed test.
    pub fn lines(&self, part: &str) -> Vec<String> {
        let shown = self.samples.iter().filter(|sample| sample.name.contains(part));
        shown.map(|sample| format!("{} {:?} {}", sample.name, sample.labels, sample.value)).collect()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let (mut labels, mut rest) = (BTreeMap::new(), labels.strip_suffix('}').expect(line));
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, after) = quoted(after).expect(line);
        assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    assert!(rest.is_empty(), "{line}");
    Sample { name: name.to_owned(), labels, value: value.parse().expect(line) }
}

/// A value without its escapes, and what follows its closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

#[test]
fn labels_are_read_with_their_escapes() {
    let metrics = Metrics::read("# TYPE a counter\na{x=\"1\\\\\\\"=,}\",y=\"é\\n\"} 2\nb{} 3\n");
    assert_eq!(metrics.sum("a", &[("x", "1\\\"=,}"), ("y", "é\n")]), 2.0);
    assert_eq!((metrics.sum("b", &[]), metrics.sum("c", &[])), (3.0, 0.0));
    assert_eq!((metrics.names("a"), metrics.values("a", "y")), (vec!["a"], vec!["é\n"]));
}
