//! Questions to the upstream for which several requests wait: while one is on its way, the same one is not asked again.
//!
//! ```text
//! the first request that asks   its own call, whose answer is for all
//! those that ask the same       wait
//! the first one's client leaves Envoy drops the call: the next one that waits is woken, and asks
//! ```
//!
//! Each thread has its own, and each configuration.

use super::stream::Stream;
use crate::exchange::{CallOut, Worker};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

struct Question {
    worker: Rc<Worker>,
    same: Arc<str>,
    call: CallOut,
    /// Some request asks it, or is woken to do so.
    is_asked: bool,
    waiting: Vec<Weak<Stream>>,
}

thread_local! {
    static OPEN: RefCell<Vec<Question>> = const { RefCell::new(Vec::new()) };
}

/// Nothing of Envoy's is called while it is borrowed, so that nothing else has it.
fn with<R: Default>(work: impl FnOnce(&mut Vec<Question>) -> R) -> R {
    OPEN.try_with(|open| open.try_borrow_mut().map(|mut open| work(&mut open)).unwrap_or_default()).unwrap_or_default()
}

fn find(open: &[Question], worker: &Rc<Worker>, same: &str) -> Option<usize> {
    open.iter().position(|question| Rc::ptr_eq(&question.worker, worker) && *question.same == *same)
}

/// Whether the request waits for the answer to the same question. If not, the question is the request's own to ask.
pub fn waits(worker: &Rc<Worker>, call: &CallOut, me: &Weak<Stream>) -> bool {
    let Some(same) = &call.same else { return false };
    with(|open| match find(open, worker, same).and_then(|at| open.get_mut(at)) {
        Some(question) if question.is_asked => {
            question.waiting.push(me.clone());
            true
        }
        Some(question) => {
            question.is_asked = true;
            false
        }
        None => {
            let (worker, same, call) = (worker.clone(), same.clone(), call.clone());
            open.push(Question { worker, same, call, is_asked: true, waiting: Vec::new() });
            false
        }
    })
}

/// The question was answered: those that wait for it.
pub fn take(worker: &Rc<Worker>, same: &str) -> Vec<Weak<Stream>> {
    with(|open| find(open, worker, same).map(|at| open.swap_remove(at).waiting).unwrap_or_default())
}

/// The request that asked is gone, or could not ask: the next one that waits is woken.
pub fn leave(worker: &Rc<Worker>, same: &str) {
    loop {
        let next = with(|open| {
            let at = find(open, worker, same)?;
            let question = open.get_mut(at)?;
            question.is_asked = false;
            let next = (!question.waiting.is_empty()).then(|| question.waiting.swap_remove(0));
            let Some(next) = next else {
                open.swap_remove(at);
                return None;
            };
            question.is_asked = true;
            Some((next, question.call.clone()))
        });
        let Some((next, call)) = next else { return };
        if next.upgrade().is_some_and(|stream| stream.wake(call)) {
            return;
        }
    }
}
