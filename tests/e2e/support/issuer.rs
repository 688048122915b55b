//! A small identity provider: it signs everybody in, hands out a token with the claims of the test, and notes nothing else.
//!
//! ```text
//! GET  /authorize?redirect_uri=…&state=…   302 to the redirect URI, with a code and the state
//! POST /token                              a token for the code
//! ```

use super::identities;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Starts one whose tokens have these claims, and returns its port.
pub fn start(claims: Value) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let token = identities::token(&identities::claims(claims));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let token = token.clone();
            std::thread::spawn(move || serve(&stream, &token));
        }
    });
    port
}

fn serve(mut stream: &TcpStream, token: &str) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.is_empty() {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let target = line.split(' ').nth(1).unwrap_or_default();
        let answer = match target.split_once('?') {
            Some(("/authorize", query)) => {
                let get = |name: &str| {
                    let value = form_urlencoded::parse(query.as_bytes()).find(|(other, _)| other == name);
                    value.map(|(_, value)| value.into_owned()).unwrap_or_default()
                };
                let mut pairs = form_urlencoded::Serializer::new(String::new());
                let pairs = pairs.append_pair("code", "a-code").append_pair("state", &get("state")).finish();
                let to = get("redirect_uri");
                format!("HTTP/1.1 302 Found\r\nlocation: {to}?{pairs}\r\ncontent-length: 0\r\n\r\n")
            }
            _ if target == "/token" && String::from_utf8_lossy(&body).contains("a-code") => {
                let json = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).to_string();
                let length = json.len();
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}")
            }
            _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
