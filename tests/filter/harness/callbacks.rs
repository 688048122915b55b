//! The filter's side of the border: the callbacks that it exports, run one at a time.

use super::host;
use std::cell::Cell;
use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

unsafe extern "C" {
    pub safe fn _initialize();
    pub safe fn proxy_on_context_create(context: u32, root: u32);
    pub safe fn proxy_on_configure(context: u32, size: usize) -> bool;
    pub safe fn proxy_on_tick(context: u32);
    pub safe fn proxy_on_request_headers(context: u32, count: usize, end: bool) -> u32;
    pub safe fn proxy_on_request_body(context: u32, size: usize, end: bool) -> u32;
    pub safe fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
    pub safe fn proxy_on_response_headers(context: u32, count: usize, end: bool) -> u32;
    pub safe fn proxy_on_response_body(context: u32, size: usize, end: bool) -> u32;
    pub safe fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
    pub safe fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, body: usize, trailers: usize);
    pub safe fn proxy_on_log(context: u32);
    pub safe fn proxy_on_delete(context: u32);
}

/// `Action::Continue`; every other answer pauses.
pub const CONTINUE: u32 = 0;

thread_local! {
    static INITIALISED: Cell<bool> = const { Cell::new(false) };
    static IN_FILTER: Cell<bool> = const { Cell::new(false) };
}

/// Runs a callback of the filter in that context.
pub fn filter<R>(context: u32, callback: impl FnOnce() -> R) -> R {
    host::with(|host| host.active = context);
    IN_FILTER.set(true);
    let result = callback();
    IN_FILTER.set(false);
    result
}

/// A panic in the filter can't unwind through `extern "C"`: the process aborts, and what libtest has captured is
/// lost. So the message goes to standard error at once.
pub fn show_panics_of_the_filter() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IN_FILTER.get() {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("?");
                let _ = writeln!(std::io::stderr(), "the filter trapped in test {name}: {panic}");
            }
            before(panic);
        }));
    });
}

pub fn next_context() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Sets up the filter, whose contexts are thread-local, once for this thread.
pub fn initialise() {
    if !INITIALISED.replace(true) {
        _initialize();
    }
}
