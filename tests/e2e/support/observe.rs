//! A client that records everything that arrives, complete or not: headers, also of interim responses, the part of the body that was sent, and trailers.

use super::http::{Request, find};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Long enough for any answer here; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client saw.
#[derive(Debug)]
pub struct Observed {
    /// `None` if the connection ended before there were headers.
    pub status: Option<u16>,
    /// The part of the body that arrived.
    pub body: Vec<u8>,
    /// Whether the client can tell that the body is complete.
    pub is_whole: bool,
    /// All bytes on the connection.
    wire: Vec<u8>,
}

impl Observed {
    /// Whether these bytes came, in whatever part of the answer; zeros between them don't count.
    pub fn shows(&self, mark: &str) -> bool {
        let has = |bytes: &[u8]| {
            let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&bytes).to_lowercase().contains(mark)
        };
        has(&self.wire) || has(&self.body)
    }

    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Over HTTP/1.
pub fn over_h1(port: u16, request: &Request) -> Observed {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&request.encode()).unwrap();
    let (mut wire, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(size) => wire.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {:?}: {request:?}", String::from_utf8_lossy(&wire)),
        }
    }
    let mut rest = wire.as_slice();
    let (mut status, mut body, mut is_whole) = (None, Vec::new(), false);
    while let Some(end) = find(rest, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        let code: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        rest = &rest[end + 4..];
        if (100..200).contains(&code) && code != 101 {
            continue;
        }
        status = Some(code);
        let header =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
        if header("transfer-encoding").is_some() {
            (body, is_whole) = dechunked(rest);
        } else {
            let length = header("content-length").map(|length| length.parse::<usize>().unwrap());
            body = rest.to_vec();
            is_whole = length.is_none_or(|length| length == body.len());
        }
        break;
    }
    Observed { status, body, is_whole, wire }
}

/// As much as there is, and whether the last chunk is there.
fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

/// Over HTTP/2.
pub fn over_h2(port: u16, request: &Request) -> Observed {
    match request.receive_h2(port) {
        Ok(received) => Observed {
            status: Some(received.answer.status),
            is_whole: received.error.is_none(),
            wire: format!("{:?} {:?}", received.answer.headers, received.trailers).into_bytes(),
            body: received.answer.body,
        },
        Err(_) => Observed { status: None, body: Vec::new(), is_whole: false, wire: Vec::new() },
    }
}
