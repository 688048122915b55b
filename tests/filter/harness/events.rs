//! What happens in a stream: the events of a message, in either direction.

use super::half::Half;
use super::host::Host;
use std::collections::VecDeque;

/// The direction of travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Request,
    Response,
}

impl Way {
    pub fn half(self, host: &mut Host, context: u32) -> &mut Half {
        let stream = host.streams.get_mut(&context).expect("the stream is open");
        match self {
            Way::Request => &mut stream.request,
            Way::Response => &mut stream.response,
        }
    }
}

/// What is still to come in a stream.
#[derive(Debug)]
pub enum Event {
    Head { end: bool },
    Data { bytes: Vec<u8>, end: bool },
    Trailers,
}

/// The events of a message: how its end shows is Envoy's, as observed with 1.40.0.
pub fn events(chunks: Vec<Vec<u8>>, open: bool, trailers: bool) -> VecDeque<Event> {
    let mut events = VecDeque::from([Event::Head { end: chunks.is_empty() && !open && !trailers }]);
    let count = chunks.len();
    for (at, bytes) in chunks.into_iter().enumerate() {
        events.push_back(Event::Data { bytes, end: at + 1 == count && !open && !trailers });
    }
    if trailers {
        events.push_back(Event::Trailers);
    } else if open {
        events.push_back(Event::Data { bytes: Vec::new(), end: true });
    }
    events
}
