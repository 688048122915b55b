//! Prometheus's remote read: the request, and the series of both kinds of answers.
//!
//! ```text
//! POST /api/v1/read     snappy block: ReadRequest = *( queries 1: Query ), accepted_response_types 2
//! 0 SAMPLES             snappy block: ReadResponse = *( results 1: *( timeseries 1: TimeSeries ) )
//! 1 STREAMED_XOR_CHUNKS *frame of ChunkedReadResponse = *( chunked_series 1: ChunkedSeries ), query_index 2
//! frame                 varint(size), 4 bytes of CRC-32C of the message, big-endian, message
//! ```
//!
//! `prompb/remote.proto`, `prompb/types.proto` and `storage/remote/chunked.go` of Prometheus 3.16.

mod frames;

pub use frames::{Frame, FrameError, Frames};

use super::labels::Matcher;
use super::protobuf::{self, Error, Repeated, message};

/// The answer type of samples: one message, compressed.
pub const SAMPLES: i32 = 0;
/// The answer type of chunks: frames, not compressed.
pub const STREAMED_XOR_CHUNKS: i32 = 1;

message! {
    /// The request.
    ReadRequest<'m> {
        /// What is asked for. The answers to it come in the same order.
        queries: Vec<Query<'m>> = 1,
        /// The answer types that the client takes, the preferred one first. None: [`SAMPLES`].
        accepted_response_types: Vec<i32> = 2,
    }
}

message! {
    /// A query: a selector and a time range, both ends of which belong to it.
    Query<'m> {
        /// Milliseconds since 1970.
        start_timestamp_ms: i64 = 1,
        /// Milliseconds since 1970.
        end_timestamp_ms: i64 = 2,
        /// The selector. Without any, Prometheus answers nothing.
        matchers: Vec<Matcher<'m>> = 3,
        /// What the answer is for.
        hints: Option<ReadHints<'m>> = 4,
    }
}

message! {
    /// What the PromQL engine says of a query.
    ReadHints<'m> {
        /// The step of the evaluation.
        step_ms: i64 = 1,
        /// The function or aggregation around the selector.
        func: &'m [u8] = 2,
        /// Where the samples that are needed begin.
        start_ms: i64 = 3,
        /// Where they end.
        end_ms: i64 = 4,
        /// The labels that the aggregation names.
        grouping: Vec<&'m [u8]> = 5,
        /// Whether they are those of `by`, not of `without`.
        by: bool = 6,
        /// The range of the selector.
        range_ms: i64 = 7,
    }
}

/// The series of a `ReadResponse`, of one query after the other, for [`labels`](super::labels::labels). Ends after the first error. Fields
/// that hold anything else are errors, so that nothing is in an answer but series.
pub fn series_of_samples(response: &[u8]) -> SeriesOfSamples<'_> {
    SeriesOfSamples { results: series_in(response, &[]), result: series_in(&[], &[]) }
}

/// The series of a `ChunkedReadResponse`, likewise. The other field is the index of the query.
pub fn series_of_chunks(response: &[u8]) -> Repeated<'_> {
    series_in(response, &[2])
}

fn series_in<'m>(message: &'m [u8], others: &'static [u64]) -> Repeated<'m> {
    protobuf::repeated_among(message, 1, others)
}

/// What [`series_of_samples`] gives.
#[derive(Debug, Clone)]
pub struct SeriesOfSamples<'m> {
    results: Repeated<'m>,
    result: Repeated<'m>,
}

impl<'m> Iterator for SeriesOfSamples<'m> {
    type Item = Result<&'m [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.result.next() {
                None => {}
                Some(Ok(series)) => return Some(Ok(series)),
                Some(Err(error)) => {
                    self.results = series_in(&[], &[]);
                    return Some(Err(error));
                }
            }
            match self.results.next()? {
                Ok(result) => self.result = series_in(result, &[]),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
