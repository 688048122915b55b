//! An HTTP/2 client with prior knowledge.

use super::http::{Body, PATIENCE, Request, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::Ipv4Addr;

impl Request {
    /// Sends it over an HTTP/2 connection of its own.
    ///
    /// # Errors
    /// Where the stream was reset instead of answered.
    pub fn send_h2(&self, port: u16) -> Result<Response, h2::Error> {
        let received = self.receive_h2(port)?;
        received.error.map_or(Ok(received.answer), Err)
    }

    /// Likewise, with what came before the stream was reset, and with trailers.
    ///
    /// # Errors
    /// Where the stream was reset before there was a head.
    pub fn receive_h2(&self, port: u16) -> Result<Received, h2::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, exchange(self, port)).await.expect("no answer over HTTP/2")
        })
    }
}

/// What has come over HTTP/2.
pub struct Received {
    pub answer: Response,
    pub trailers: Option<HeaderMap>,
    pub error: Option<h2::Error>,
}

async fn exchange(request: &Request, port: u16) -> Result<Received, h2::Error> {
    let tcp = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 24)
        .initial_connection_window_size(1 << 24)
        .handshake::<_, Bytes>(tcp)
        .await?;
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await?;
    let uri = match request.method.as_str() {
        "CONNECT" => request.target.clone(),
        _ => format!("http://localhost{}", request.target),
    };
    let mut head = http::Request::builder().method(request.method.as_str()).uri(uri).version(http::Version::HTTP_2);
    for (name, value) in &request.headers {
        head = head.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    if let Body::Sized(body) = &request.body {
        head = head.header("content-length", body.len());
    }
    let (answer, mut stream) = client.send_request(head.body(()).unwrap(), matches!(request.body, Body::None))?;
    match &request.body {
        Body::None => {}
        Body::Sized(body) => send(&mut stream, body, true).await,
        Body::Stalled(start) => send(&mut stream, start, false).await,
        Body::Chunked(chunks, trailers) => {
            for (index, chunk) in chunks.iter().enumerate() {
                send(&mut stream, chunk, trailers.is_empty() && index + 1 == chunks.len()).await;
            }
            if !trailers.is_empty() {
                let trailers: HeaderMap = trailers
                    .iter()
                    .map(|(name, value)| {
                        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
                    })
                    .collect();
                let _ = stream.send_trailers(trailers);
            }
        }
    }
    let (head, mut body) = answer.await?.into_parts();
    let (mut received, mut error) = (Vec::new(), None);
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                body.flow_control().release_capacity(data.len())?;
                received.extend_from_slice(&data);
            }
            Err(reset) => {
                error = Some(reset);
                break;
            }
        }
    }
    let trailers = match error {
        Some(_) => None,
        None => body.trailers().await?,
    };
    connection.abort();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let answer = Response { status: head.status.as_u16(), headers: headers.collect(), body: received };
    Ok(Received { answer, trailers, error })
}

/// Sends as the window allows. Fails silently: where the answer comes early, the stream is reset.
async fn send(stream: &mut h2::SendStream<Bytes>, bytes: &[u8], end: bool) {
    let mut rest = Bytes::copy_from_slice(bytes);
    if rest.is_empty() {
        let _ = stream.send_data(rest, end);
        return;
    }
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let capacity = match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(capacity)) => capacity,
            Some(Err(_)) | None => return,
        };
        let piece = rest.split_to(capacity.min(rest.len()));
        if stream.send_data(piece, end && rest.is_empty()).is_err() {
            return;
        }
    }
}
