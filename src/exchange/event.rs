//! What an adapter tells an exchange.

use super::effect::Half;
use crate::request::Answered;
use std::fmt;

/// What has happened. The first six and `Done` stand for callbacks of the host; the others tell how an effect ended.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request begins. The first event of all.
    Began {
        /// Nanoseconds since 1970; `None` where the host has no clock.
        now: Option<u64>,
    },
    /// The request's head has come.
    RequestHead(Arrival<'a>),
    /// A part of the request's body has come.
    RequestBody {
        /// The bytes that the host holds: what it held back before, and those that have just come.
        size: usize,
        /// Nothing follows.
        end_of_stream: bool,
    },
    /// The answer's head has come.
    AnswerHead {
        /// Nothing follows.
        end_of_stream: bool,
    },
    /// A part of the answer's body has come.
    AnswerBody {
        /// The bytes that the host holds: this part alone, unless the parts before it were held back.
        size: usize,
        /// Nothing follows.
        end_of_stream: bool,
    },
    /// A half's trailers have come. Its body callback never saw the end (observed with Envoy 1.40.0).
    Trailers(Half),

    /// The query is counted.
    Leased,
    /// As many queries of one of the tenants run already as may.
    LeaseRefused {
        /// How many run.
        running: i64,
        /// How many may.
        allowed: i64,
    },
    /// The whole of the request's body.
    RequestBodyRead {
        /// The body.
        body: Vec<u8>,
        /// Nanoseconds since 1970, where the time was asked for.
        now: Option<u64>,
    },
    /// A request of the filter's own was answered, or was not.
    CalledOut {
        /// Which of the effect's.
        which: usize,
        /// What became of it.
        answered: Answered<'a>,
    },
    /// These of the effect's requests could not be sent.
    NotAsked(&'a [usize]),
    /// The answer's head.
    AnswerHeadRead {
        /// Every pair, names in lower case, `:status` among them.
        headers: &'a [(&'a [u8], &'a [u8])],
        /// `response.code_details` of Envoy, where [`Exchange::wants_details`] asks for it; `None` where the host does not tell.
        ///
        /// [`Exchange::wants_details`]: super::Exchange::wants_details
        details: Option<&'a [u8]>,
    },
    /// A part of the answer's body.
    AnswerBodyRead {
        /// The part.
        bytes: Vec<u8>,
    },
    /// The trailers that have come.
    TrailersRead {
        /// Every pair, names in lower case.
        trailers: &'a [(&'a [u8], &'a [u8])],
    },
    /// The status that the client got; `None` where it got none, or the host does not tell.
    StatusRead(Option<u16>),
    /// An effect was not carried out. No effect after it was.
    Failed(HostError),

    /// Request and answer are over, however they ended.
    Done {
        /// Nanoseconds since 1970; 0 where the host has no clock.
        now: u64,
    },
}

/// A request's head.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Every pair, in order, names in lower case, pseudo-headers among them.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// What the host has where the tenant's source asks it ([`Worker::evidence`]); `None` where it has nothing.
    ///
    /// [`Worker::evidence`]: super::Worker::evidence
    pub evidence: Option<&'a [u8]>,
    /// What the host has where labels ask it ([`Worker::label_evidence`]); `None` where it has nothing.
    ///
    /// [`Worker::label_evidence`]: super::Worker::label_evidence
    pub label_evidence: Option<&'a [u8]>,
    /// Neither body nor trailers follow.
    pub end_of_stream: bool,
}

/// A call of the host that did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError {
    /// The host's function, or its callback.
    pub call: &'static str,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong with a call of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A status other than success.
    Status(u32),
    /// Success, but with data that make no sense.
    Data,
    /// A callback that can't come at this time.
    Order,
    /// Other workers wrote first at each attempt.
    Contended,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Status(status) => write!(f, "{} answered with status {status}", self.call),
            Fault::Data => write!(f, "{} answered with malformed data", self.call),
            Fault::Order => write!(f, "{} came out of order", self.call),
            Fault::Contended => write!(f, "{} was outrun by other workers", self.call),
        }
    }
}
