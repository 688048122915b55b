//! An upstream that records every byte that it receives, and sends the same answer to every request, unless the request asks for a failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The answer, with headers that must not reach a client unchanged.
const ANSWER: &str = "{\"status\":\"success\",\"data\":[]}";
const HEADERS: &str = "content-type: application/json\r\ncache-control: public, max-age=600\r\nvary: Origin\r\n";

/// The request header that asks for another answer: `close`, `break off`, `say …` (the body of the answer), or the milliseconds to wait.
pub const BEHAVIOUR: &str = "x-e2e-behaviour";

/// The part of the answer that is sent before the connection breaks off.
pub const HALF: &str = "{\"status\":\"success\",\"data\":[";

/// The recording upstream. Its threads end with the test program.
pub struct Stub {
    pub port: u16,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    requests: Vec<Seen>,
    text: String,
}

/// A request, as it stood on the wire.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Names as they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Seen {
    /// All values of a header; case does not matter.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |given: &str| given.eq_ignore_ascii_case(name);
        self.headers.iter().filter(|(given, _)| same(given)).map(|(_, value)| value.as_str()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The decoded pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
    }

    /// The decoded pairs of the body.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }
}

fn pairs(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).into_owned().collect()
}

impl Stub {
    pub fn start() -> Stub {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Received::default()));
        let shared = received.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Stub { port, received }
    }

    /// The requests that were sent with this `x-e2e-id`.
    pub fn seen(&self, id: &str) -> Vec<Seen> {
        let received = self.received.lock().unwrap();
        received.requests.iter().filter(|seen| seen.all("x-e2e-id") == [id]).cloned().collect()
    }

    /// The bodies of all requests to this path.
    pub fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let received = self.received.lock().unwrap();
        received.requests.iter().filter(|seen| seen.path() == path).map(|seen| seen.body.clone()).collect()
    }

    /// Whether this text came, in any request, whole or broken.
    pub fn received(&self, text: &str) -> bool {
        self.received.lock().unwrap().text.contains(text)
    }
}

fn serve(stream: TcpStream, received: &Mutex<Received>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = Recorder { reader: BufReader::new(stream), received };
    // `None` ends the connection, also if the bytes are not a request. The bytes are recorded in any case.
    while let Some(seen) = request(&mut reader) {
        let behaviour = seen.all(BEHAVIOUR).first().map(|behaviour| behaviour.to_string());
        let is_head = seen.method == "HEAD";
        received.lock().unwrap().requests.push(seen);
        let mut body = ANSWER;
        match behaviour.as_deref() {
            None => {}
            Some(say) if say.starts_with("say ") => body = &say["say ".len()..],
            Some("close") => return,
            Some("break off") => {
                let half = format!("HTTP/1.1 200 OK\r\n{HEADERS}content-length: 100000\r\n\r\n{HALF}");
                let _ = writer.write_all(half.as_bytes());
                // This is long enough for the data to be sent before the connection ends.
                std::thread::sleep(Duration::from_millis(300));
                return;
            }
            Some(wait) => std::thread::sleep(Duration::from_millis(wait.parse().expect("milliseconds"))),
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{HEADERS}content-length: {}\r\n\r\n{}",
            body.len(),
            if is_head { "" } else { &body }
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

struct Recorder<'a> {
    reader: BufReader<TcpStream>,
    received: &'a Mutex<Received>,
}

impl Recorder<'_> {
    /// The beginning of a long text.
    fn record(&self, bytes: &[u8]) {
        let beginning = &bytes[..bytes.len().min(4096)];
        self.received.lock().unwrap().text.push_str(&String::from_utf8_lossy(beginning));
    }

    /// A line without its line break.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok()?;
        self.record(&line);
        let line = line.strip_suffix(b"\r\n")?;
        Some(String::from_utf8_lossy(line).into_owned())
    }

    fn bytes(&mut self, size: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        Read::by_ref(&mut self.reader).take(size as u64).read_to_end(&mut bytes).ok()?;
        self.record(&bytes);
        (bytes.len() == size).then_some(bytes)
    }

    fn headers(&mut self) -> Option<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(headers);
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

fn request(reader: &mut Recorder<'_>) -> Option<Seen> {
    let line = reader.line()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = reader.headers()?;
    let mut seen = Seen { method, target, headers, body: Vec::new(), trailers: Vec::new() };
    let length = seen.all("content-length").first().map(|length| length.parse::<usize>().ok());
    if seen.has("transfer-encoding") {
        loop {
            let size = usize::from_str_radix(&reader.line()?, 16).ok()?;
            if size == 0 {
                seen.trailers = reader.headers()?;
                break;
            }
            seen.body.extend_from_slice(&reader.bytes(size)?);
            reader.line()?;
        }
    } else if let Some(length) = length {
        seen.body = reader.bytes(length?)?;
    }
    Some(seen)
}
