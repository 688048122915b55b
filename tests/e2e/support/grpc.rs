//! A gRPC client: one message there, frames and a status back, over HTTP/2 with prior knowledge.

use super::envoy::Setup;
use super::http::{Body, Request};
use bytes::Bytes;
use promql_tenancy_filter::wire::grpc::write_frame;
use promql_tenancy_filter::wire::protobuf::Message;
use serde_json::json;

/// What a server answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The messages.
    pub messages: Vec<Vec<u8>>,
    /// `grpc-status`.
    pub code: u32,
    /// `grpc-message`, as it stands on the wire.
    pub message: String,
    /// All of the headers and trailers.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// The text of everything.
    pub fn text(&self) -> String {
        let messages = self.messages.iter().map(|message| String::from_utf8_lossy(message).into_owned());
        messages
            .chain(self.headers.iter().map(|(name, value)| format!("{name}: {value}")))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The messages in an order that does not depend on which store answered first.
    pub fn sorted(&self) -> Vec<Vec<u8>> {
        let mut messages = self.messages.clone();
        messages.sort();
        messages
    }
}

/// The message as a body.
pub fn body(message: &dyn Message<'_>) -> Vec<u8> {
    let (mut bytes, mut body) = (Vec::new(), Vec::new());
    message.write(&mut bytes);
    write_frame(&bytes, &mut body).unwrap();
    body
}

/// A call with this body.
pub fn request(method: &str, body: Vec<u8>) -> Request {
    let mut request = Request::new("POST", method).header("content-type", "application/grpc").header("te", "trailers");
    request.body = Body::Chunked(vec![body], Vec::new());
    request
}

/// Calls a method as a tenant, and reads the answer to its end.
pub fn call(port: u16, tenant: Option<&str>, method: &str, message: &dyn Message<'_>) -> Answer {
    let request = request(method, body(message));
    send(port, &tenant.map_or(request.clone(), |tenant| request.tenant(tenant)))
}

/// Sends a call.
pub fn send(port: u16, request: &Request) -> Answer {
    let received = request.receive_h2(port).unwrap();
    assert!(received.error.is_none(), "reset: {:?}", received.error);
    assert_eq!(received.answer.status, 200, "{}", received.answer.text());
    let mut headers: Vec<(String, String)> = received.answer.headers.clone();
    for (name, value) in received.trailers.iter().flatten() {
        headers.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    let find = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let mut messages = Vec::new();
    let mut rest = &received.answer.body[..];
    while let Some((header, after)) = rest.split_first_chunk::<5>() {
        let size = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        assert_eq!(header[0], 0, "uncompressed");
        messages.push(after[..size].to_vec());
        rest = &after[size..];
    }
    assert!(rest.is_empty());
    let code = find("grpc-status").map_or(u32::MAX, |status| status.parse().unwrap());
    Answer { messages, code, message: find("grpc-message").unwrap_or_default(), headers }
}

/// The shipped configuration in front of a gRPC server, for callers who name themselves by metadata.
pub fn setup(port: u16) -> Setup {
    Setup::shipped(port)
        .replace(
            "explicit_http_config: { http_protocol_options: {} }",
            "explicit_http_config: { http2_protocol_options: { initial_stream_window_size: 1048576, initial_connection_window_size: 8388608 } }",
        )
        .plugin(json!({"upstream": "thanos", "enable_grpc": true}))
}

/// A gRPC server that answers every call with so many times the same bytes, which are whole frames, and status 0. Its port.
pub fn serve(frames: Vec<u8>, times: usize) -> u16 {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let frames = Bytes::from(frames);
            while let Ok((stream, _)) = listener.accept().await {
                let frames = frames.clone();
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::task::spawn_local(answer(request.into_body(), respond, frames.clone(), times));
                    }
                });
            }
        });
    });
    port
}

/// Once the request has come whole: an answer before that is none to the filter.
async fn answer(
    mut request: h2::RecvStream,
    mut respond: h2::server::SendResponse<Bytes>,
    frames: Bytes,
    times: usize,
) {
    while let Some(Ok(data)) = request.data().await {
        let _ = request.flow_control().release_capacity(data.len());
    }
    let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    for _ in 0..times {
        let mut rest = frames.clone();
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(Ok(capacity)) = std::future::poll_fn(|context| stream.poll_capacity(context)).await else {
                return;
            };
            let piece = rest.split_to(capacity.min(rest.len()));
            if stream.send_data(piece, false).is_err() {
                return;
            }
        }
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let _ = stream.send_trailers(trailers);
}
