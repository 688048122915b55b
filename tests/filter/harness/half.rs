//! One direction of a stream: what the filter may see and change, and what has gone on past it.

use super::http::Headers;

/// Which of a direction's callbacks is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Idle,
    Head,
    Body,
    Trailers,
    /// After the stream: headers can be read, not changed.
    Log,
}

/// What went on past the filter.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    pub headers: Option<Headers>,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// The end has gone on as well.
    pub complete: bool,
}

/// One direction.
#[derive(Debug)]
pub struct Half {
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// The bytes of the body that have come so far.
    pub came: usize,
    pub phase: Phase,
    /// A body callback has paused: chunks gather in `body`.
    pub buffering: bool,
    /// The head is held back by a pause.
    pub head_held: bool,
    /// The end of the stream has been shown to the filter.
    pub end_seen: bool,
    pub sent: Sent,
}

impl Half {
    pub fn new(headers: Headers, trailers: Headers) -> Self {
        Half {
            headers,
            body: Vec::new(),
            trailers,
            came: 0,
            phase: Phase::Idle,
            buffering: false,
            head_held: false,
            end_seen: false,
            sent: Sent::default(),
        }
    }

    /// Whether the head can be read. After Continue it is out of reach; after Pause it stays within.
    pub fn head_readable(&self) -> bool {
        self.phase == Phase::Head || self.phase == Phase::Log || self.head_held
    }

    pub fn head_writable(&self) -> bool {
        self.phase == Phase::Head || self.head_held
    }

    /// Whether the body can be replaced: in the body's callback, or afterwards where it is held back.
    pub fn body_writable(&self) -> bool {
        self.phase == Phase::Body || self.buffering
    }

    /// Lets everything go on that is here.
    pub fn flush(&mut self) {
        self.head_held = false;
        self.buffering = false;
        if self.sent.headers.is_none() {
            self.sent.headers = Some(self.headers.clone());
        }
        self.sent.body.append(&mut self.body);
        if self.end_seen {
            self.sent.trailers = self.trailers.clone();
            self.sent.complete = true;
        }
    }
}
