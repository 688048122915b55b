//! The filter of a body, whatever its format is.

use super::Unreadable;
use super::alertmanager::Alertmanager;
use super::filter::Filter;
use super::plain::PlainText;
use super::series::Series;
use super::titled::Titled;
use super::usage::Samples;

/// Reads a body in parts, and writes what is passed on: over all parts, at most `MAX_GROWTH` bytes more than have come, and of series no more.
#[derive(Debug)]
pub enum Reader {
    /// JSON.
    Json(Filter),
    /// The series of remote read.
    Series(Series),
    /// An error in plain text.
    Text(PlainText),
    /// What Alertmanager answers.
    Alertmanager(Box<Alertmanager>),
    /// A web page.
    Page(Box<Titled>),
}

impl Reader {
    /// Reads on, and writes what is passed on. `end` says that no more comes.
    pub fn push(&mut self, part: &[u8], end: bool, out: &mut Vec<u8>) {
        match self {
            Reader::Json(filter) => filter.push(part, end, out),
            Reader::Series(series) => series.push(part, end, out),
            Reader::Text(text) => text.push(part, end, out),
            Reader::Alertmanager(filter) => filter.push(part, end, out),
            Reader::Page(page) => page.push(part, out),
        }
    }

    /// Whether it reads an error that the upstream has given in plain text.
    pub fn is_text_of_upstream(&self) -> bool {
        match self {
            Reader::Text(text) => text.is_of_upstream(),
            Reader::Json(_) | Reader::Series(_) | Reader::Alertmanager(_) | Reader::Page(_) => false,
        }
    }

    /// Nothing more is passed on, from the part on that comes next.
    pub fn stop(&mut self, fault: Unreadable) {
        match self {
            Reader::Json(filter) => filter.stop(fault),
            Reader::Series(series) => series.stop(fault),
            // It is short, and nobody's data.
            Reader::Text(_) => {}
            Reader::Alertmanager(filter) => filter.stop(fault),
            Reader::Page(page) => page.stop(fault),
        }
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        match self {
            Reader::Json(filter) => filter.fault(),
            Reader::Series(series) => series.fault(),
            Reader::Text(_) => None,
            Reader::Alertmanager(filter) => filter.fault(),
            Reader::Page(page) => page.fault(),
        }
    }

    /// Whether the answer has to be cut off at a fault, since its format has no end that tells a client that it is not whole.
    pub fn cuts_off(&self) -> bool {
        match self {
            Reader::Json(_) | Reader::Alertmanager(_) => false,
            Reader::Series(_) | Reader::Text(_) | Reader::Page(_) => true,
        }
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        match self {
            Reader::Json(filter) => filter.has_written(),
            Reader::Series(series) => series.has_written(),
            Reader::Text(text) => text.has_written(),
            Reader::Alertmanager(filter) => filter.has_written(),
            Reader::Page(page) => page.has_written(),
        }
    }

    /// How many messages were withheld so far.
    pub fn withheld(&self) -> u32 {
        match self {
            Reader::Json(filter) => filter.withheld(),
            Reader::Text(text) => text.withheld(),
            Reader::Series(_) | Reader::Alertmanager(_) | Reader::Page(_) => 0,
        }
    }

    /// How many samples the query has read, as far as that was said.
    pub fn samples(&self) -> Samples {
        match self {
            Reader::Json(filter) => filter.samples(),
            Reader::Series(_) | Reader::Text(_) | Reader::Alertmanager(_) | Reader::Page(_) => Samples::default(),
        }
    }
}
