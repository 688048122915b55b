//! The gRPC client of the tools: HTTP/2 without TLS and without an upgrade, a connection for each call. An answer is read to a bound, and its
//! trailers are among its headers.

use super::http::{Answer, Ask, MAX_ANSWER};
use std::io::Cursor;
use std::time::Duration;
use ureq::http::{HeaderMap, Request};
use url::Url;

/// Calls a method of a server; `base` is its URL without a path.
pub fn call(base: &str, ask: &Ask, timeout: Duration) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    let answer = async { tokio::time::timeout(timeout, exchange(base, ask)).await };
    runtime.block_on(answer).map_err(|_| format!("no answer within {} s", timeout.as_secs()))?
}

async fn exchange(base: &str, ask: &Ask) -> Result<Answer, String> {
    let url = Url::parse(base).map_err(text)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stream = tokio::net::TcpStream::connect((host, url.port_or_known_default().unwrap_or(80))).await;
    let builder = h2::client::Builder::new();
    let (client, connection) = builder.handshake::<_, Cursor<Vec<u8>>>(stream.map_err(text)?).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.map_err(text)?;
    let mut request = Request::builder().method(&*ask.method).uri(format!("{}{}", base, ask.target));
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    let (head, mut body) = client.send_request(request.body(()).map_err(text)?, false).map_err(text)?;
    // A server that refuses the head alone may reset the rest; the answer says why.
    let _ = body.send_data(Cursor::new(ask.body.clone().unwrap_or_default()), true);
    let (head, mut body) = head.await.map_err(text)?.into_parts();
    let mut answer = Answer { status: head.status.as_u16(), headers: lines(&head.headers), body: Vec::new() };
    while let Some(data) = body.data().await {
        // What had come before the stream broke off is judged, and lacks its status.
        let Ok(data) = data else { return Ok(answer) };
        body.flow_control().release_capacity(data.len()).map_err(text)?;
        answer.body.extend_from_slice(&data);
        if answer.body.len() as u64 > MAX_ANSWER {
            return Err("the answer is too long".to_owned());
        }
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        answer.headers.extend(lines(&trailers));
    }
    connection.abort();
    Ok(answer)
}

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
