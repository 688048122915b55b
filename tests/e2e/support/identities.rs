//! The identities of clients: certificates, tokens and TLS connections, all made by `openssl`, which `make test` installs.

use super::process;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of `scripts/demo-identities`, made for this run.
pub fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = process::folder().join("identities");
        run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo-identities")).arg(&folder), b"");
        // An authority and an issuer that Envoy does not trust.
        let mut authority =
            openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=another authority"]);
        run(authority.args(["-keyout", "other.key", "-out", "other.pem"]).current_dir(&folder), b"");
        folder
    });
    &FOLDER
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Client {
    pem: PathBuf,
    key: PathBuf,
}

impl Client {
    /// The files of the certificate and of its key.
    pub fn files(&self) -> (&Path, &Path) {
        (&self.pem, &self.key)
    }
}

/// A client whose certificate the trusted authority has signed. The subject is as `openssl req -subj` takes it.
pub fn client(subject: &str) -> Client {
    signed(subject, "authority")
}

/// A client whose certificate another authority has signed.
pub fn stranger(subject: &str) -> Client {
    signed(subject, "other")
}

fn signed(subject: &str, authority: &str) -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("client-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let file = |end: &str| folder().join(format!("{name}.{end}"));
    let mut request = openssl(&["req", "-new", "-newkey", "rsa:2048", "-nodes", "-utf8", "-subj", subject, "-keyout"]);
    let request = run(request.arg(file("key")), b"");
    let mut sign = openssl(&["x509", "-req", "-days", "2", "-CAcreateserial", "-CA"]);
    sign.arg(folder().join(format!("{authority}.pem"))).arg("-CAkey").arg(folder().join(format!("{authority}.key")));
    sign.arg("-CAserial").arg(file("serial")).arg("-out").arg(file("pem"));
    run(&mut sign, &request);
    Client { pem: file("pem"), key: file("key") }
}

/// A port on loopback that leads to another one by TLS, each connection by one of its own.
pub fn through_tls(port: u16, client: Option<&Client>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let client = client.cloned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let client = client.clone();
            std::thread::spawn(move || pass_on(stream, port, client.as_ref()));
        }
    });
    own
}

fn pass_on(mut stream: TcpStream, port: u16, client: Option<&Client>) {
    let mut command = openssl(&["s_client", "-quiet", "-verify_return_error", "-connect"]);
    command.arg(format!("127.0.0.1:{port}")).arg("-CAfile").arg(folder().join("authority.pem"));
    if let Some(client) = client {
        command.arg("-cert").arg(&client.pem).arg("-key").arg(&client.key);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut reader = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || copy(&mut reader, &mut to));
    copy(&mut from, &mut stream);
    let _ = stream.shutdown(Shutdown::Both);
    let _ = child.kill();
    let _ = child.wait();
    let _ = writer.join();
}

/// Whether a second connection of this client resumes the session of the first one. `version` is that of TLS, as `s_client` takes it.
pub fn resumes(port: u16, client: &Client, version: &str) -> bool {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let session = folder().join(format!("session-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let connect = |option: &str| {
        // A session's ticket may come after the handshake: an answer is waited for.
        let mut command = openssl(&["s_client", "-ign_eof", version, option]);
        command.arg(&session).arg("-connect").arg(format!("127.0.0.1:{port}"));
        command.arg("-CAfile").arg(folder().join("authority.pem"));
        command.arg("-cert").arg(&client.pem).arg("-key").arg(&client.key);
        let request = b"GET /api/v1/query?query=up HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        String::from_utf8_lossy(&run(&mut command, request)).into_owned()
    };
    let first = connect("-sess_out");
    assert!(first.contains("\nNew, ") && first.contains("HTTP/1.1 200"), "{first}");
    if !session.exists() {
        return false;
    }
    let second = connect("-sess_in");
    assert!(second.contains("HTTP/1.1 200"), "{second}");
    second.contains("\nReused, ")
}

/// Until one of both ends.
fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; 1 << 14];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..size]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// Claims that the issuer's tokens have, and these.
pub fn claims(own: Value) -> Value {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let mut claims = json!({"iss": "https://issuer.example", "aud": "prometheus", "sub": "someone", "exp": expires});
    claims.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    claims
}

/// A token of the issuer.
pub fn token(claims: &Value) -> String {
    signed_token(&json!({"alg": "RS256", "typ": "JWT", "kid": "demo"}), claims, "issuer")
}

/// A token that names the issuer, but is signed with another key.
pub fn forged_token(claims: &Value) -> String {
    signed_token(&json!({"alg": "RS256", "typ": "JWT", "kid": "demo"}), claims, "other")
}

/// A token with no signature.
pub fn unsigned_token(claims: &Value) -> String {
    format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims.to_string().as_bytes()))
}

fn signed_token(header: &Value, claims: &Value, key: &str) -> String {
    let text = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let mut sign = openssl(&["dgst", "-sha256", "-binary", "-sign"]);
    let signature = run(sign.arg(folder().join(format!("{key}.key"))), text.as_bytes());
    format!("{text}.{}", base64url(&signature))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0u32, |number, &byte| number << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(number >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    out
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

/// Runs a program to its end, and returns what it wrote.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}: run `make test`, which installs it"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
