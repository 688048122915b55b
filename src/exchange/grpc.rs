//! The frames of a gRPC answer, and its trailers, which have its status and its message.

use super::Exchange;
use super::answer::AnswerStage;
use super::effect::{Effect, Half, Level, Step};
use super::line::Line;
use crate::answer::{Frames, Trailers};

/// The trailer that has the status. Where there are no frames, it is a header.
pub const STATUS: &str = "grpc-status";

impl Exchange {
    /// A part of the frames. The head has gone on, so that a fault is told in the trailers.
    pub(super) fn filter_frames(&mut self, bytes: &[u8]) -> Step {
        let AnswerStage::Frames(frames) = &mut self.answer else {
            return self.cut_off_answer("host", "an answer's frames came out of order");
        };
        let mut out = Vec::with_capacity(bytes.len());
        frames.push(bytes, &mut out);
        self.record.found(frames.withheld(), frames.samples());
        let is_the_end = self.answer_ends;
        let report = if is_the_end { self.end_frames() } else { None };
        let size = self.answer_held;
        let mut step = if out == bytes {
            self.record.answer_body(size);
            Step::forwards(Vec::new())
        } else {
            self.replace_answer_body(size, out)
        };
        step.effects.extend(report);
        step
    }

    /// What becomes of the trailers of a gRPC answer; `None` where it is none.
    pub(super) fn grpc_trailers(&mut self, trailers: &[(&[u8], &[u8])]) -> Option<Step> {
        if !matches!(self.answer, AnswerStage::Frames(_)) {
            return None;
        }
        if let AnswerStage::Frames(frames) = &mut self.answer {
            frames.end();
        }
        let AnswerStage::Frames(frames) = &mut self.answer else { return None };
        let Trailers { remove, set } = frames.trailers(trailers);
        let of_upstream = trailers.iter().find(|(name, _)| *name == STATUS.as_bytes()).map(|(_, status)| *status);
        let ours = set.iter().find(|(name, _)| *name == STATUS).map(|(_, status)| status.as_bytes());
        self.record.grpc_status(ours.or(of_upstream).unwrap_or_default());
        let report = self.end_frames();
        self.answer = AnswerStage::Ended;
        let mut effects: Vec<Effect> = Vec::new();
        if !remove.is_empty() {
            effects.push(Effect::RemoveTrailers { half: Half::Answer, names: remove });
        }
        effects.extend(set.into_iter().map(|(name, value)| Effect::SetTrailer { name, value }));
        effects.extend(report);
        Some(Step::forwards(effects))
    }

    /// The frames are over: what the operator is told of them.
    fn end_frames(&mut self) -> Option<Effect> {
        let AnswerStage::Frames(frames) = &mut self.answer else { return None };
        frames.end();
        let (withheld, samples, fault, has_written) = tally(frames);
        self.record.found(withheld, samples);
        match fault {
            Some(fault) => {
                self.record.unreadable(fault.name());
                let line = if has_written { Line::AnswerCutShort } else { Line::AnswerWithheld };
                self.line(line, Level::Error, &["reason=", fault.name()].concat())
            }
            None if withheld > 0 => self.line(Line::MessagesWithheld, Level::Info, &format!("count={withheld}")),
            None => None,
        }
    }
}

fn tally(frames: &Frames) -> (u32, crate::answer::Samples, Option<crate::answer::Unreadable>, bool) {
    (frames.withheld(), frames.samples(), frames.fault(), frames.has_written())
}
