//! An HTTP/1.1 client that also sends invalid requests, and the type of requests that both clients share.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

/// A timeout that is longer than any answer takes. A hang is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request, for either protocol.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

/// What follows the head.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing, and on HTTP/1 no `content-length`.
    None,
    /// With a `content-length`, which may be 0.
    Sized(Vec<u8>),
    /// Chunks, or DATA frames, which may be empty; then trailers.
    Chunked(Vec<Vec<u8>>, Vec<(String, String)>),
    /// A form of which no more than this ever comes.
    Stalled(Vec<u8>),
}

impl Request {
    pub fn new(method: &str, target: &str) -> Request {
        Request { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Body::None }
    }

    pub fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    /// A form, sent with its length.
    pub fn post(target: &str, form: &str) -> Request {
        let form = form.as_bytes().to_vec();
        let request = Request { body: Body::Sized(form), ..Request::new("POST", target) };
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn tenant(self, tenant: &str) -> Request {
        self.header("THANOS-TENANT", tenant)
    }

    /// The body in chunks, with trailers.
    pub fn chunked(mut self, chunks: &[&[u8]], trailers: &[(&str, &str)]) -> Request {
        let trailers = trailers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        self.body = Body::Chunked(chunks.iter().map(|chunk| chunk.to_vec()).collect(), trailers);
        self
    }

    /// Sends it over a connection of its own, and reads one answer. Envoy takes a second to close after a refusal, which
    /// is not waited for.
    pub fn send(&self, port: u16) -> Response {
        self.send_to(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    /// As [`Request::send`], to a server on any address.
    pub fn send_to(&self, server: SocketAddrV4) -> Response {
        let bytes = self.encode();
        let mut stream = connect_to(server).unwrap();
        let mut writer = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            // An answer may arrive before the server has read the whole request. The rest of the request is then lost, as it should be.
            scope.spawn(|| writer.write_all(&bytes));
            let answer = read_answer(&mut stream).unwrap_or_else(|problem| panic!("{problem}: {self:?}"));
            let _ = stream.shutdown(Shutdown::Both);
            answer
        })
    }

    /// Like [`Request::send`], if perhaps no server listens yet.
    pub fn try_send(&self, port: u16) -> Option<Response> {
        let mut stream = connect(port).ok()?;
        stream.write_all(&self.encode()).ok()?;
        read_answer(&mut stream).ok()
    }

    /// As HTTP/1.1. The connection is closed after the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        let gives = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !gives("host") {
            line("host", b"localhost");
        }
        if !gives("connection") {
            line("connection", b"close");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        match &self.body {
            Body::None => out.extend_from_slice(b"\r\n"),
            Body::Stalled(start) => {
                line("content-length", (start.len() + 1).to_string().as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(start);
            }
            Body::Sized(body) => {
                line("content-length", body.len().to_string().as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(body);
            }
            Body::Chunked(chunks, trailers) => {
                line("transfer-encoding", b"chunked");
                out.extend_from_slice(b"\r\n");
                // An empty chunk would end the body.
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        out
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that appears at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} appears more than once: {self:?}");
        values.first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// Asserts that it is the filter's own refusal, and returns its message.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let json = self.json();
        assert_eq!(json["status"], "error", "{json}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("private, no-store"), "{self:?}");
        json["error"].as_str().unwrap().to_owned()
    }
}

/// Sends bytes as they are, and reads answers until the connection is closed or no more data arrives. No data arrives if the server waits for the rest of an
/// incomplete request.
pub fn raw(port: u16, bytes: &[u8]) -> Vec<Response> {
    const QUIET: Duration = Duration::from_millis(150);
    converse(port, bytes, QUIET, usize::MAX)
}

/// Like [`raw`], until this many answers have arrived.
pub fn raw_answered(port: u16, bytes: &[u8], count: usize) -> Vec<Response> {
    let answers = converse(port, bytes, PATIENCE, count);
    assert_eq!(answers.len(), count, "{answers:?}");
    answers
}

fn converse(port: u16, bytes: &[u8], quiet: Duration, most: usize) -> Vec<Response> {
    let mut stream = connect(port).unwrap();
    let _ = stream.write_all(bytes);
    stream.set_read_timeout(Some(quiet)).unwrap();
    let (mut received, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let size = stream.read(&mut buffer).unwrap_or(0);
        received.extend_from_slice(&buffer[..size]);
        let (mut answers, mut rest) = (Vec::new(), received.as_slice());
        while let Some((answer, more)) = parse(rest, size == 0) {
            answers.push(answer);
            rest = more;
        }
        if size == 0 || answers.len() >= most {
            return answers;
        }
    }
}

pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    connect_to(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn connect_to(server: SocketAddrV4) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

pub fn read_answer(stream: &mut TcpStream) -> Result<Response, String> {
    let (mut received, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let problem = match stream.read(&mut buffer) {
            Ok(0) => "the connection was closed".to_owned(),
            Ok(size) => {
                received.extend_from_slice(&buffer[..size]);
                if let Some((answer, _)) = parse(&received, false) {
                    return Ok(answer);
                }
                continue;
            }
            Err(error) => error.to_string(),
        };
        let answer = parse(&received, true).map(|(answer, _)| answer);
        return answer.ok_or_else(|| format!("{problem} after {:?}", String::from_utf8_lossy(&received)));
    }
}

/// Takes an answer off the front, once all of it is there; interim ones (100) are left out.
fn parse(bytes: &[u8], ended: bool) -> Option<(Response, &[u8])> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let rest = &bytes[end + 4..];
    let (status_line, header_lines) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status: u16 = status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(status_line);
    if status == 100 {
        return parse(rest, ended);
    }
    let headers: Vec<(String, String)> = header_lines
        .lines()
        .map(|line| line.split_once(':').expect(line))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |name: &str| headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let (body, rest) = if header("transfer-encoding") == Some("chunked") {
        dechunk(rest)?
    } else {
        let length = match header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if matches!(status, 101 | 204 | 304) => 0,
            None if ended => rest.len(),
            None => return None,
        };
        // An answer to HEAD declares the length of a body that it does not have.
        let length = if ended { rest.len().min(length) } else { length };
        (rest.get(..length)?.to_vec(), &rest[length..])
    };
    Some((Response { status, headers, body }, rest))
}

fn dechunk(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = find(bytes, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if size == 0 {
            let end = if bytes.starts_with(b"\r\n") { 2 } else { find(bytes, b"\r\n\r\n")? + 4 };
            return Some((body, &bytes[end..]));
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}

/// Where `needle` begins.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Pairs as a form or query string.
pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
