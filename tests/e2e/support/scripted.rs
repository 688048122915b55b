//! An upstream that sends what a test tells it to, valid or not: bytes over HTTP/1, and frames over HTTP/2.
//!
//! A request names its script in `x-e2e-script`. A request without that header gets a normal answer. After the script, the connection ends.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The header that names the script.
pub const SCRIPT: &str = "x-e2e-script";
/// The header by which Envoy chooses the HTTP/2 port.
pub const PROTOCOL: &str = "x-e2e-upstream";

/// One thing that the HTTP/1 upstream does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads the chunked body of the request. An answer that comes before it is refused, where the body confines the request.
    ReadBody,
    Send(Vec<u8>),
    /// Long enough for Envoy to read what was sent before.
    Pause,
    /// The connection is reset instead of closed.
    Reset,
}

/// What the HTTP/2 upstream sends.
#[derive(Debug, Clone)]
pub struct Frames {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// DATA frames, which may be empty; a short pause after each.
    pub data: Vec<Vec<u8>>,
    pub end: End,
}

/// How an HTTP/2 answer ends.
#[derive(Debug, Clone)]
pub enum End {
    /// With the last DATA frame, or with the head.
    Here,
    Trailers(Vec<(&'static str, String)>),
    Reset,
}

#[derive(Default)]
struct Scripts {
    steps: HashMap<String, Vec<Step>>,
    frames: HashMap<String, Frames>,
}

/// The upstream. Its threads end with the test program.
pub struct Scripted {
    pub port: u16,
    pub h2_port: u16,
    scripts: Arc<Mutex<Scripts>>,
}

impl Scripted {
    pub fn start() -> Scripted {
        let scripts = Arc::new(Mutex::new(Scripts::default()));
        let port = listen(scripts.clone(), |stream, scripts| drop(serve(stream, scripts)));
        let h2_port = listen(scripts.clone(), |stream, scripts| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve_h2(stream, scripts));
        });
        Scripted { port, h2_port, scripts }
    }

    pub fn steps(&self, name: &str, steps: Vec<Step>) {
        self.scripts.lock().unwrap().steps.insert(name.to_owned(), steps);
    }

    pub fn frames(&self, name: &str, frames: Frames) {
        self.scripts.lock().unwrap().frames.insert(name.to_owned(), frames);
    }
}

fn listen(scripts: Arc<Mutex<Scripts>>, serve: fn(TcpStream, &Mutex<Scripts>)) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let scripts = scripts.clone();
            std::thread::spawn(move || serve(stream, &scripts));
        }
    });
    port
}

const USUAL: &str = "{\"status\":\"success\",\"data\":null}";
const PAUSE: Duration = Duration::from_micros(1500);

/// A GET, or a POST whose body is not looked at.
fn serve(mut stream: TcpStream, scripts: &Mutex<Scripts>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let name = head.lines().find_map(|line| line.strip_prefix(SCRIPT)?.strip_prefix(": "));
    let usual = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{USUAL}",
        USUAL.len()
    );
    let steps = name.map(|name| scripts.lock().unwrap().steps[name].clone());
    for step in steps.unwrap_or_else(|| vec![Step::Send(usual.into_bytes())]) {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::ReadBody => {
                assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
                let mut body = Vec::new();
                while !body.ends_with(b"0\r\n\r\n") {
                    if stream.read(&mut byte)? == 0 {
                        return Ok(());
                    }
                    body.push(byte[0]);
                }
            }
            Step::Pause => std::thread::sleep(PAUSE),
            Step::Reset => reset(&stream),
        }
    }
    if head.starts_with("POST") {
        // A connection that is closed before all of the body was read is reset, and the end of the answer is lost.
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Ok(())
}

/// Makes the connection end with RST when it is dropped.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap();
    // SAFETY: the descriptor is open, and the option's value is as long as is said.
    let done = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
    };
    assert_eq!(done, 0);
}

async fn serve_h2(stream: TcpStream, scripts: &Mutex<Scripts>) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let name = request.headers().get(SCRIPT).map(|name| name.to_str().unwrap().to_owned());
        let frames = name.map(|name| scripts.lock().unwrap().frames[&name].clone());
        let usual = || Frames {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            data: vec![USUAL.into()],
            end: End::Here,
        };
        // This runs beside the connection, which has to be polled so that the frames are sent.
        tokio::spawn(send(respond, frames.unwrap_or_else(usual)));
    }
}

async fn send(mut respond: h2::server::SendResponse<Bytes>, frames: Frames) -> Option<()> {
    let mut head = Response::builder().status(frames.status);
    for (name, value) in &frames.headers {
        head = head.header(*name, value);
    }
    let is_head_only = frames.data.is_empty() && matches!(frames.end, End::Here);
    let mut stream = respond.send_response(head.body(()).unwrap(), is_head_only).ok()?;
    for (at, data) in frames.data.iter().enumerate() {
        let is_last = at + 1 == frames.data.len() && matches!(frames.end, End::Here);
        let mut rest = Bytes::copy_from_slice(data);
        while rest.len() > 1 << 14 {
            stream.reserve_capacity(1 << 14);
            let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
            stream.send_data(rest.split_to(capacity.min(rest.len())), false).ok()?;
        }
        stream.send_data(rest, is_last).ok()?;
        tokio::time::sleep(PAUSE).await;
    }
    match frames.end {
        End::Here => {}
        End::Reset => stream.send_reset(h2::Reason::INTERNAL_ERROR),
        End::Trailers(trailers) => {
            let trailers: HeaderMap = trailers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            stream.send_trailers(trailers).ok()?;
        }
    }
    Some(())
}
