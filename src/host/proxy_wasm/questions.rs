//! Questions to the upstream for which several requests wait: while one is on its way, the same one is not asked again.
//!
//! ```text
//! the first request that asks   its own call, whose answer is for all
//! those that ask the same       wait
//! the first one's client leaves the host drops the call: the root context asks again at its next tick, while others wait
//! ```
//!
//! Each worker has its own, and each configuration.

use super::calls;
use super::effects::Stream;
use crate::exchange::{CallOut, Worker};
use crate::request::Answered;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// A request, and the context that the host knows it by.
#[derive(Clone, Default)]
pub struct Waiting {
    /// The number of the context.
    pub context: u32,
    /// Dead once the proxy has deleted the context.
    pub stream: Weak<RefCell<Stream>>,
}

struct Question {
    worker: Rc<Worker>,
    same: Arc<str>,
    call: CallOut,
    by: By,
    waiting: Vec<Waiting>,
}

/// Whose call it is.
#[derive(PartialEq, Eq)]
enum By {
    Stream,
    /// The root context's, by this number.
    Root(u32),
    /// The request that asked is gone, or could not ask.
    Nobody,
}

thread_local! {
    static OPEN: RefCell<Vec<Question>> = const { RefCell::new(Vec::new()) };
}

/// No host calls back from within a host call, so that nothing else has it.
fn with<R: Default>(work: impl FnOnce(&mut Vec<Question>) -> R) -> R {
    OPEN.try_with(|open| open.try_borrow_mut().map(|mut open| work(&mut open)).unwrap_or_default()).unwrap_or_default()
}

fn find(open: &[Question], worker: &Rc<Worker>, same: &str) -> Option<usize> {
    open.iter().position(|question| Rc::ptr_eq(&question.worker, worker) && *question.same == *same)
}

/// Whether the request waits for the answer to the same question. If not, the question is the request's own to ask.
pub fn waits(worker: &Rc<Worker>, call: &CallOut, me: &Waiting) -> bool {
    let Some(same) = &call.same else { return false };
    with(|open| match find(open, worker, same).and_then(|at| open.get_mut(at)) {
        Some(question) if question.by == By::Nobody => {
            question.by = By::Stream;
            false
        }
        Some(question) => {
            question.waiting.push(me.clone());
            true
        }
        None => {
            let (worker, same, call) = (worker.clone(), same.clone(), call.clone());
            open.push(Question { worker, same, call, by: By::Stream, waiting: Vec::new() });
            false
        }
    })
}

/// The question was answered: those that wait for it.
pub fn take(worker: &Rc<Worker>, same: &str) -> Vec<Waiting> {
    with(|open| find(open, worker, same).map(|at| open.swap_remove(at).waiting).unwrap_or_default())
}

/// The same of a question that the root context has asked, and the longest answer that is read.
pub fn take_of_root(token: u32) -> Option<(Vec<Waiting>, usize)> {
    with(|open| {
        let at = open.iter().position(|question| question.by == By::Root(token))?;
        let question = open.swap_remove(at);
        Some((question.waiting, question.call.max_answer))
    })
}

/// The request that asked is gone, or could not ask.
pub fn leave(worker: &Rc<Worker>, same: &str) {
    with(|open| {
        let Some(at) = find(open, worker, same) else { return };
        let Some(question) = open.get_mut(at) else { return };
        question.by = By::Nobody;
        if !question.waiting.iter().any(|waiting| waiting.stream.strong_count() > 0) {
            open.swap_remove(at);
        }
    });
}

/// A root context is gone, and the calls that it has made.
pub fn lose_root() {
    with(|open| {
        for question in open {
            if let By::Root(_) = question.by {
                question.by = By::Nobody;
            }
        }
    });
}

/// In the root context: asks what nobody asks any more, and others still wait for.
pub fn tick() {
    let ask_one = |open: &mut Vec<Question>| {
        let at = open.iter().position(|question| question.by == By::Nobody)?;
        let question = open.get_mut(at)?;
        match calls::http_call(&question.call) {
            Ok(token) => {
                question.by = By::Root(token);
                Some(Vec::new())
            }
            Err(_) => Some(open.swap_remove(at).waiting),
        }
    };
    while let Some(failed) = with(ask_one) {
        tell(failed, Answered::Failed);
    }
}

/// Tells those that wait, each in its own context.
pub fn tell(waiting: Vec<Waiting>, answered: Answered<'_>) {
    for Waiting { context, stream } in waiting {
        let Some(stream) = stream.upgrade() else { continue };
        if calls::set_effective_context(context).is_ok()
            && let Ok(mut stream) = stream.try_borrow_mut()
        {
            // A question that others ask, too, is the only one of its exchange.
            stream.called_out(0, answered);
        }
    }
}
