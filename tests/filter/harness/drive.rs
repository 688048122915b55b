//! The order of things: which callback comes when, what a pause holds back, what a local reply ends.

use super::callbacks::*;
use super::events::{Event, Way, events};
use super::half::{Half, Phase};
use super::host::{self, CallOut, Fault, Host, LogLine, Stream};
use super::http::{Headers, Request, Response};
use super::outcome::Outcome;
use std::collections::{HashMap, VecDeque};

/// A running stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamId(u32);

/// A proxy with the filter in it. One at a time on a thread: a new one starts from nothing.
pub struct Harness {
    root: u32,
    allow_on_headers_stop_iteration: bool,
    upstream_answer: Response,
    answer_chunk: usize,
    answer_ends_late: bool,
    properties: HashMap<Vec<u8>, Vec<u8>>,
    calls_after_local_reply: bool,
    /// What the filter wrote to the log when it took its configuration.
    pub said: Vec<LogLine>,
    /// What is still to come in the open streams' requests.
    coming: HashMap<u32, VecDeque<Event>>,
}

impl Harness {
    /// Starts the filter with this configuration; the log where it refuses.
    pub fn new(configuration: impl AsRef<[u8]>) -> Result<Self, Vec<LogLine>> {
        let mut harness = Self::unconfigured();
        harness.reload(configuration)?;
        Ok(harness)
    }

    /// A root context that never got a configuration.
    pub fn unconfigured() -> Self {
        show_panics_of_the_filter();
        host::with(|host| *host = Host::default());
        initialise();
        let root = next_context();
        filter(root, || proxy_on_context_create(root, 0));
        Harness {
            root,
            allow_on_headers_stop_iteration: false,
            upstream_answer: Response::new(200, r#"{"status":"success"}"#).header("content-type", "application/json"),
            answer_chunk: usize::MAX,
            answer_ends_late: false,
            properties: HashMap::new(),
            calls_after_local_reply: false,
            said: Vec::new(),
            coming: HashMap::new(),
        }
    }

    /// As Envoy does it: a new root context, and the old one goes on where the configuration is refused.
    pub fn reload(&mut self, configuration: impl AsRef<[u8]>) -> Result<(), Vec<LogLine>> {
        let size = configuration.as_ref().len();
        let from = host::with(|host| {
            host.plugin_configuration = configuration.as_ref().to_vec();
            host.logs.len()
        });
        let root = next_context();
        filter(root, || proxy_on_context_create(root, 0));
        let accepted = filter(root, || proxy_on_configure(root, size));
        let said = host::with(|host| host.logs.split_off(from));
        if !accepted {
            filter(root, || proxy_on_delete(root));
            return Err(said);
        }
        self.said = said;
        self.root = root;
        Ok(())
    }

    /// The same, and the old root context is deleted at once.
    pub fn reload_and_delete(&mut self, configuration: impl AsRef<[u8]>) -> Result<(), Vec<LogLine>> {
        let old = self.root;
        self.reload(configuration)?;
        filter(old, || proxy_on_delete(old));
        Ok(())
    }

    /// The plugin's option of that name.
    pub fn allow_on_headers_stop_iteration(mut self, allow: bool) -> Self {
        self.allow_on_headers_stop_iteration = allow;
        self
    }

    /// What the upstream answers from now on.
    pub fn upstream_answers(&mut self, answer: Response) {
        self.upstream_answer = answer;
    }

    /// How much of an answer comes at a time from now on, and whether its end comes by itself, as it does in Envoy.
    pub fn answer_in_chunks(&mut self, size: usize, ends_late: bool) {
        self.answer_chunk = size;
        self.answer_ends_late = ends_late;
    }

    /// A property of every stream from now on; the path's segments are joined by NUL, as the ABI does.
    pub fn property(&mut self, path: &[&str], value: impl AsRef<[u8]>) {
        self.properties.insert(path.join("\0").into_bytes(), value.as_ref().to_vec());
    }

    /// Makes host calls fail, until `heal`. Calls are counted from here.
    pub fn fail(&mut self, faults: &[Fault]) {
        host::with(|host| {
            host.faults = faults.to_vec();
            host.calls_made = 0;
        });
    }

    /// Shows a buffer without its last bytes.
    pub fn short_buffers(&mut self, by: usize) {
        host::with(|host| host.short_by = by);
    }

    /// Goes on with the request's callbacks after a local reply, as no proxy should.
    pub fn calls_after_local_reply(mut self) -> Self {
        self.calls_after_local_reply = true;
        self
    }

    /// Hands out these bytes in place of every header map.
    pub fn garbage_map(&mut self, bytes: Option<Vec<u8>>) {
        host::with(|host| host.garbage_map = bytes);
    }

    pub fn heal(&mut self) {
        self.fail(&[]);
        self.garbage_map(None);
    }

    /// Sends a request and takes the stream to its end.
    pub fn request(&mut self, request: Request) -> Outcome {
        let stream = self.open(request);
        self.close(stream)
    }

    /// Sends a request and goes as far as the filter lets it.
    pub fn open(&mut self, request: Request) -> StreamId {
        self.begin(request, true)
    }

    /// Sends a request but for its last chunk, and no answer comes.
    pub fn open_and_leave(&mut self, request: Request) -> StreamId {
        self.begin(request.never_ends(), false)
    }

    fn begin(&mut self, request: Request, answers_early: bool) -> StreamId {
        let context = next_context();
        let Request { headers, chunks, trailers, open, after_end, never_ends } = request;
        let mut events = events(chunks, open, trailers.len() > 0);
        if never_ends {
            events.pop_back();
        }
        events.extend(after_end.map(|bytes| Event::Data { bytes, end: true }));
        host::with(|host| {
            host.counts.clear();
            host::take_crossed();
            let stream = Stream {
                request: Half::new(headers, trailers),
                response: Half::new(Headers::default(), Headers::default()),
                properties: self.properties.clone(),
                local_reply: None,
                reset: false,
                resumed: [false; 2],
            };
            host.streams.insert(context, stream);
        });
        self.coming.insert(context, events);
        let root = self.root;
        filter(context, || proxy_on_context_create(context, root));
        self.run(context);
        if never_ends && answers_early && !self.ended_by_filter(context) {
            let answer = self.upstream_answer.clone();
            self.respond(context, answer);
            self.respond_locally(context);
        }
        StreamId(context)
    }

    /// Ends a stream, finished or not.
    pub fn close(&mut self, StreamId(context): StreamId) -> Outcome {
        self.coming.remove(&context);
        host::with(|host| {
            let stream = host.streams.get_mut(&context).expect("the stream is open");
            stream.request.phase = Phase::Log;
            stream.response.phase = Phase::Log;
        });
        filter(context, || proxy_on_log(context));
        filter(context, || proxy_on_delete(context));
        let (stream, calls, logs, mut violations) = host::with(|host| {
            let stream = host.streams.remove(&context).expect("the stream is open");
            (stream, host.counts.clone(), std::mem::take(&mut host.logs), std::mem::take(&mut host.violations))
        });
        let sent = stream.request.sent;
        let claimed = sent.headers.as_ref().and_then(|headers| headers.get("content-length"));
        let misread = |claimed: &&String| sent.complete && **claimed != sent.body.len().to_string();
        if let Some(claimed) = claimed.as_ref().filter(misread) {
            // What is over goes on the wire as the next request; what is missing makes the upstream wait.
            violations.push(format!("content-length {claimed} with a body of {} bytes", sent.body.len()));
        }
        let answer = stream.response.sent;
        let claimed = answer.headers.as_ref().and_then(|headers| headers.get("content-length"));
        if let Some(claimed) = claimed.filter(|claimed| answer.complete && *claimed != answer.body.len().to_string()) {
            violations.push(format!("content-length {claimed} with an answer of {} bytes", answer.body.len()));
        }
        assert!(violations.is_empty(), "{violations:#?}");
        let response = answer.headers.filter(|_| !stream.reset).map(|mut headers| {
            let status = headers.get(":status").and_then(|status| status.parse().ok()).expect(":status");
            headers.remove(b":status");
            Response { status, headers, body: answer.body, trailers: answer.trailers }
        });
        let hung = response.is_none() && !stream.reset;
        let (local, properties) = (stream.local_reply.is_some(), stream.properties);
        Outcome {
            sent,
            response,
            local,
            reset: stream.reset,
            hung,
            calls,
            crossed: host::take_crossed(),
            logs,
            properties,
        }
    }

    /// An open stream's request headers as they are now: what an access log would say.
    pub fn request_headers(&self, StreamId(context): StreamId) -> Headers {
        host::with(|host| host.streams[&context].request.headers.clone())
    }

    /// The head of a request that the filter was never told of: whether it would pass.
    pub fn lets_an_unknown_stream_pass(&self) -> bool {
        let context = next_context();
        filter(context, || proxy_on_request_headers(context, 3, true)) == CONTINUE
            || filter(context, || proxy_on_response_body(context, 3, true)) == CONTINUE
    }

    /// Lets the root context's timer fire.
    pub fn tick(&mut self) {
        filter(self.root, || proxy_on_tick(self.root));
        self.run_woken();
    }

    /// The call-outs that the filter has made and that were not answered.
    pub fn call_outs(&self) -> Vec<CallOut> {
        host::with(|host| host.call_outs.clone())
    }

    /// Answers a call-out; `None` is a failure, which shows as an answer without headers.
    pub fn answer_call_out(&mut self, token: u32, answer: Option<Response>) {
        let (context, sizes) = host::with(|host| {
            let at = host.call_outs.iter().position(|call| call.token == token).expect("the call-out was made");
            let call = host.call_outs.remove(at);
            let answer = answer.map(|mut answer| {
                answer.headers.set(b":status", answer.status.to_string().as_bytes());
                answer
            });
            let sizes = answer.as_ref().map_or((0, 0, 0), |a| (a.headers.len(), a.body.len(), a.trailers.len()));
            host.call_out_answer = answer;
            (call.context, sizes)
        });
        filter(context, || proxy_on_http_call_response(context, token, sizes.0, sizes.1, sizes.2));
        host::with(|host| host.call_out_answer = None);
        self.run_woken();
    }

    fn run_woken(&mut self) {
        let woken: Vec<u32> = host::with(|host| {
            let woken = |stream: &Stream| stream.resumed.contains(&true) || stream.local_reply.is_some();
            host.streams.iter().filter(|(_, stream)| woken(stream)).map(|(&context, _)| context).collect()
        });
        for context in woken {
            self.run(context);
        }
    }

    /// Delivers what is still to come, as far as pauses allow.
    fn run(&mut self, context: u32) {
        self.resume(context, Way::Request);
        let goes_on = |harness: &Self| match harness.ended_by_filter(context) {
            true => harness.calls_after_local_reply,
            false => !harness.stalled(context, Way::Request),
        };
        while goes_on(self) {
            let Some(event) = self.coming.get_mut(&context).and_then(VecDeque::pop_front) else {
                break;
            };
            self.deliver(context, Way::Request, event);
            self.resume(context, Way::Request);
        }
        let complete = host::with(|host| Way::Request.half(host, context).sent.complete);
        if complete && !self.ended_by_filter(context) {
            let answer = self.upstream_answer.clone();
            self.respond(context, answer);
        }
        self.respond_locally(context);
    }

    /// A local reply passes the response callbacks too (observed with Envoy 1.40.0).
    fn respond_locally(&mut self, context: u32) {
        let local = host::with(|host| {
            let stream = host.streams.get_mut(&context).expect("the stream is open");
            stream.local_reply.clone().filter(|_| !stream.reset)
        });
        if let Some(reply) = local {
            self.respond(context, reply);
        }
    }

    fn respond(&mut self, context: u32, answer: Response) {
        let mut headers = answer.headers;
        headers.set(b":status", answer.status.to_string().as_bytes());
        let chunks = answer.body.chunks(self.answer_chunk).map(<[u8]>::to_vec).collect();
        let ends_late = self.answer_ends_late && !answer.body.is_empty();
        let events = events(chunks, ends_late, answer.trailers.len() > 0);
        host::with(|host| *Way::Response.half(host, context) = Half::new(headers, answer.trailers));
        let local_before = host::with(|host| host.streams[&context].local_reply.is_some());
        for event in events {
            self.deliver(context, Way::Response, event);
            self.resume(context, Way::Response);
            let local_now = host::with(|host| host.streams[&context].local_reply.is_some());
            if local_now != local_before || self.stalled(context, Way::Response) {
                break;
            }
        }
    }

    fn ended_by_filter(&self, context: u32) -> bool {
        host::with(|host| {
            let stream = &host.streams[&context];
            stream.local_reply.is_some() || stream.reset
        })
    }

    /// Without the option, a paused head stops everything behind it (observed with Envoy 1.40.0).
    fn stalled(&self, context: u32, way: Way) -> bool {
        let allowed = self.allow_on_headers_stop_iteration;
        host::with(|host| {
            let half = way.half(host, context);
            half.head_held && !allowed || (half.head_held || half.buffering) && half.end_seen
        })
    }

    /// Acts on `proxy_continue_stream`.
    fn resume(&mut self, context: u32, way: Way) {
        host::with(|host| {
            let stream = host.streams.get_mut(&context).expect("the stream is open");
            if std::mem::take(&mut stream.resumed[way as usize]) && !stream.reset {
                way.half(host, context).flush();
            }
        });
    }

    fn deliver(&mut self, context: u32, way: Way, event: Event) {
        let (phase, count, end) = host::with(|host| {
            let half = way.half(host, context);
            let (phase, count, end) = match event {
                Event::Head { end } => (Phase::Head, half.headers.len(), end),
                Event::Trailers => (Phase::Trailers, half.trailers.len(), true),
                Event::Data { bytes, end } => {
                    if !half.buffering {
                        half.body.clear();
                    }
                    half.came += bytes.len();
                    half.body.extend(bytes);
                    (Phase::Body, half.body.len(), end)
                }
            };
            half.phase = phase;
            half.end_seen |= end;
            (phase, count, end)
        });
        let action = filter(context, || match (way, phase) {
            (Way::Request, Phase::Head) => proxy_on_request_headers(context, count, end),
            (Way::Request, Phase::Body) => proxy_on_request_body(context, count, end),
            (Way::Request, _) => proxy_on_request_trailers(context, count),
            (Way::Response, Phase::Head) => proxy_on_response_headers(context, count, end),
            (Way::Response, Phase::Body) => proxy_on_response_body(context, count, end),
            (Way::Response, _) => proxy_on_response_trailers(context, count),
        });
        let answered = self.ended_by_filter(context);
        host::with(|host| {
            if answered && action == CONTINUE && way == Way::Request {
                host.violations.push(format!("went on after a local reply: {way:?} {phase:?}"));
            }
            let half = way.half(host, context);
            half.phase = Phase::Idle;
            match (action, phase) {
                (CONTINUE, _) => half.flush(),
                (_, Phase::Head) => half.head_held = true,
                (_, _) => half.buffering = true,
            }
        });
    }
}
