//! The SDK's contexts → events of an exchange. A root context stands for a worker and its configuration, an HTTP context for an exchange.

use super::effects::{Sent, Stream};
use super::questions::{self, Waiting};
use super::{calls, local, pairs};
use crate::config::Config;
use crate::exchange::ledger::TICK_MILLISECONDS;
use crate::exchange::reloads::Version;
use crate::exchange::{Arrival, Event, Fault, Half, HostError, Level, Line, Worker, reloads};
use crate::request::Answered;
use crate::tenant::Evidence;
use crate::text;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// One worker under one configuration.
#[derive(Default)]
pub struct Root {
    worker: Rc<Worker>,
}

/// Dropped when the proxy deletes the context. It has no use for this configuration any more, and maybe for this VM: where the plugin's
/// `vm_id` has changed, the new VM does not see what this one shares, and would leave its gauges as they are. So what this VM has in
/// flight, which by now is nothing in that case, is written down once more.
impl Drop for Root {
    fn drop(&mut self) {
        local::tick();
        questions::lose_root();
    }
}

impl Context for Root {
    /// The answer to a question that is asked once more, since the request that asked it is gone.
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _trailers: usize) {
        if let Some((waiting, max_answer)) = questions::take_of_root(token) {
            questions::tell(waiting, answered(&answer(max_answer, headers, body_size)));
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match read_config(size) {
            Ok((config, version)) => {
                // Without it, stats come late, and requests are served all the same.
                let _status = calls::set_tick_period(TICK_MILLISECONDS);
                if reloads::accepted(&mut local::Shared, &version, &config, &mut local::meter) {
                    reloads::warnings(&config).iter().for_each(|line| calls::log(Level::Error, line));
                }
                self.worker = Rc::new(Worker::new(Arc::new(config)));
                calls::log(Level::Info, Line::Accepted.begin());
                true
            }
            Err(reason) => {
                calls::log(Level::Error, &[Line::ConfigurationRefused.begin(), ": ", &reason].concat());
                reloads::refused(&mut local::meter);
                false
            }
        }
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        let stream = |stream: &Weak<RefCell<Stream>>| {
            let me = Waiting { context, stream: stream.clone() };
            RefCell::new(Stream::new(self.worker.clone(), me))
        };
        Some(Box::new(Shared(Rc::new_cyclic(stream))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn on_tick(&mut self) {
        local::tick();
        questions::tick();
    }
}

/// The configuration, and its version. Where another VM has accepted the same, nothing that belongs to one tenant is judged again.
fn read_config(size: usize) -> Result<(Config, Version), String> {
    // Without a configuration, Envoy has no buffer to read: asking for it would be an error.
    let json = match size {
        0 => Vec::new(),
        _ => calls::buffer(BufferType::PluginConfiguration).map_err(|error| error.to_string())?,
    };
    let name = calls::property("plugin_name").ok().flatten().unwrap_or_default();
    let version = Version::of(&name, &json);
    let config = Config::read(&Arc::new(json), version.told(&mut local::Shared));
    Ok((config.map_err(|error| text::one_line(&error.to_string()))?, version))
}

/// Where Envoy has what the source of the tenant needs.
fn property(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Subject => "connection\0subject_peer_certificate",
        Evidence::Metadata => "metadata",
    }
}

impl Stream {
    fn request_head(&mut self, end_of_stream: bool) -> Result<Action, HostError> {
        let map = calls::header_map(MapType::HttpRequestHeaders)?;
        let headers = pairs::checked(&map)?;
        #[cfg(feature = "trap")]
        super::trap::trap_when_asked(&headers);
        let (of_tenant, of_labels) = (self.worker.evidence(), self.worker.label_evidence());
        let read = |evidence| match evidence {
            Some(evidence) => calls::property(property(evidence)),
            None => Ok(None),
        };
        let evidence = read(of_tenant)?;
        // Read once where both need the same.
        let other = read(of_labels.filter(|_| of_labels != of_tenant))?;
        let label_evidence = if of_labels == of_tenant { evidence.as_deref() } else { other.as_deref() };
        let arrival = Arrival { headers: &headers, evidence: evidence.as_deref(), label_evidence, end_of_stream };
        Ok(self.on(Event::RequestHead(arrival)))
    }
}

/// The upstream's answer to a question: its status, and its body unless that is too long.
fn answer(max: usize, headers: usize, size: usize) -> Result<(u16, Option<Vec<u8>>), HostError> {
    const CALL: &str = "proxy_on_http_call_response";
    // Envoy tells that there was no answer by an empty head.
    if headers == 0 {
        return Err(HostError { call: CALL, fault: Fault::Data });
    }
    let map = calls::header_map(MapType::HttpCallResponseHeaders)?;
    let headers = pairs::checked(&map)?;
    #[cfg(feature = "trap")]
    super::trap::trap_when_asked(&headers);
    let status = headers.iter().find(|(name, _)| *name == b":status").map(|(_, status)| *status);
    let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let status = status.ok_or(HostError { call: CALL, fault: Fault::Data })?;
    let body = match size {
        0 => Some(Vec::new()),
        _ if size > max => None,
        _ => Some(calls::buffer(BufferType::HttpCallResponseBody)?).filter(|body| body.len() == size),
    };
    Ok((status, body))
}

fn answered(answer: &Result<(u16, Option<Vec<u8>>), HostError>) -> Answered<'_> {
    match answer {
        Ok((status, body)) => Answered::Answer { status: *status, body: body.as_deref() },
        Err(_) => Answered::Failed,
    }
}

/// One exchange, which others may have to tell of an answer.
struct Shared(Rc<RefCell<Stream>>);

impl Shared {
    /// Nothing else has the exchange: no host calls back from within a host call.
    fn on(&self, event: Event<'_>) -> Action {
        self.0.try_borrow_mut().map_or(Action::Pause, |mut stream| stream.on(event))
    }
}

impl Context for Shared {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _trailers: usize) {
        let Ok(mut stream) = self.0.try_borrow_mut() else { return };
        let Some(at) = stream.call_outs.iter().position(|sent| sent.token == token) else { return };
        let Sent { which, max_answer, same, .. } = stream.call_outs.swap_remove(at);
        let answer = answer(max_answer, headers, body_size);
        let waiting = same.map(|same| questions::take(&stream.worker, &same)).unwrap_or_default();
        stream.called_out(which, answered(&answer));
        questions::tell(waiting, answered(&answer));
    }
}

impl HttpContext for Shared {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.on(Event::Began { now: calls::now().ok() });
        let Ok(mut stream) = self.0.try_borrow_mut() else { return Action::Pause };
        match stream.request_head(end_of_stream) {
            Ok(action) => action,
            Err(error) => stream.on(Event::Failed(error)),
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.on(Event::RequestBody { size, end_of_stream })
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.on(Event::Trailers(Half::Request))
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.on(Event::AnswerHead { end_of_stream })
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.on(Event::AnswerBody { size, end_of_stream })
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.on(Event::Trailers(Half::Answer))
    }

    fn on_log(&mut self) {
        self.on(Event::Done { now: calls::now().unwrap_or(0) });
    }
}
