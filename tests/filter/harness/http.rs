//! Requests and answers, as a test writes them and as they come out.

use std::fmt;

/// Header fields in order. Names are kept in lower case, as Envoy's codecs hand them over.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    /// Replaces every value of that name by one, in the place of the first.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let name = name.to_ascii_lowercase();
        match self.0.iter().position(|(held, _)| *held == name) {
            None => self.0.push((name, value.to_vec())),
            Some(first) => {
                self.0[first].1 = value.to_vec();
                let mut at = 0;
                self.0.retain(|(held, _)| {
                    at += 1;
                    *held != name || at == first + 1
                });
            }
        }
    }

    pub fn remove(&mut self, name: &[u8]) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(held, _)| *held != name);
    }

    /// Every value of that name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(held, _)| held == name.as_bytes());
        values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The one value of that name; panics where there are several.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() < 2, "{name} is there {} times in {self:?}", values.len());
        values.pop()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value))))
            .finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.add(name.as_ref(), value.as_ref());
        }
        headers
    }
}

/// A client's request: head, body in the chunks in which it comes, trailers.
#[derive(Debug, Clone)]
pub struct Request {
    pub headers: Headers,
    pub chunks: Vec<Vec<u8>>,
    pub trailers: Headers,
    /// Data frames follow the head, if only an empty one.
    pub open: bool,
    /// What a broken host shows after the end.
    pub after_end: Option<Vec<u8>>,
    /// The end never comes, and the upstream does not wait for it.
    pub never_ends: bool,
}

impl Request {
    pub fn new(method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        let mut headers = Headers::default();
        headers.add(b":authority", b"prometheus.example");
        headers.add(b":path", path.as_ref());
        headers.add(b":method", method.as_ref());
        headers.add(b":scheme", b"http");
        Request {
            headers,
            chunks: Vec::new(),
            trailers: Headers::default(),
            open: false,
            after_end: None,
            never_ends: false,
        }
    }

    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// A POST without a body.
    pub fn post(path: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path)
    }

    /// A POST of a form in one chunk, with its `content-length`.
    pub fn form(path: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        Self::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", body.len().to_string())
            .chunk(body)
    }

    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name.as_ref(), value.as_ref());
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name.as_bytes());
        self
    }

    pub fn chunk(mut self, data: impl AsRef<[u8]>) -> Self {
        self.chunks.push(data.as_ref().to_vec());
        self
    }

    /// The same body in chunks of these sizes; what is left is the last chunk.
    pub fn split(mut self, sizes: &[usize]) -> Self {
        let mut rest = self.chunks.concat();
        self.chunks.clear();
        for &size in sizes {
            let tail = rest.split_off(size.min(rest.len()));
            self.chunks.push(std::mem::replace(&mut rest, tail));
        }
        self.chunks.push(rest);
        self
    }

    /// The decoded query string.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let path = self.headers.get(":path").unwrap_or_default();
        pairs(path.split_once('?').map_or("", |(_, query)| query).as_bytes())
    }

    /// The decoded form.
    pub fn form_pairs(&self) -> Vec<(String, String)> {
        pairs(&self.chunks.concat())
    }

    /// The stream stays open after the head: an empty data frame ends it where nothing else does.
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The last chunk never comes, nor what follows it: the upstream answers before.
    pub fn never_ends(mut self) -> Self {
        self.never_ends = true;
        self
    }

    pub fn after_end(mut self, data: impl AsRef<[u8]>) -> Self {
        self.after_end = Some(data.as_ref().to_vec());
        self
    }

    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name.as_ref(), value.as_ref());
        self
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// An answer: the upstream's, or what the client gets.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

impl Response {
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        Response { status, headers: Headers::default(), body, trailers: Headers::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.add(name.as_bytes(), value.as_bytes());
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.add(name.as_bytes(), value.as_bytes());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics where it is not.
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {}", self.text()),
        }
    }
}
