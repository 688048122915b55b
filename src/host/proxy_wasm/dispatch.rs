//! The callbacks that Envoy calls, and the contexts that it calls them for.
//!
//! The dispatcher of the proxy-wasm SDK (0.2.5) does the same for every kind of filter. It is left out for two reasons. It panics where
//! a host breaks the protocol, for example by naming a context that it never created, and a panic takes the worker's VM down for
//! every tenant: here, such a callback pauses, so that nothing passes. And it was an eighth of the module's code, all of which Envoy
//! compiles before it listens. A callback that is not exported is not called, so each that is costs a crossing of the border.
//!
//! While a callback runs, its context is taken out of the table: nothing is borrowed, whatever the host calls meanwhile.

use super::root::Root;
use super::stream::Stream;
use std::alloc::{Layout, alloc};
use std::cell::RefCell;
use std::ptr::null_mut;

/// What becomes of a stream after a callback: the host's `FilterHeadersStatus` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    Continue = 0,
    Pause = 1,
}

/// The callbacks of a root context, one for each worker and configuration.
pub trait RootContext {
    /// Whether the configuration, of so many bytes, is accepted.
    fn on_configure(&mut self, size: usize) -> bool;
    /// A stream under this configuration.
    fn create_stream(&self, id: u32) -> Stream;
    /// The timer that was asked for.
    fn on_tick(&mut self) {}
    /// The answer to a call-out of this context; it failed where there are no headers.
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, _body_size: usize, _trailers: usize) {}
}

/// The callbacks of a request and its answer.
pub trait HttpContext {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action;
    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action;
    fn on_http_request_trailers(&mut self, count: usize) -> Action;
    fn on_http_response_headers(&mut self, count: usize, end_of_stream: bool) -> Action;
    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action;
    fn on_http_response_trailers(&mut self, count: usize) -> Action;
    /// The answer to a call-out of this stream; it failed where there are no headers.
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, _body_size: usize, _trailers: usize) {}
    /// Request and answer are over, however they ended.
    fn on_log(&mut self) {}
}

/// Contexts by their number; those whose callback runs are not at their place.
type Shelf<T> = Vec<(u32, Option<Box<T>>)>;

/// Contexts of one kind. The host counts their numbers up: the last bits spread them evenly.
struct Table<T, const SHELVES: usize>([Shelf<T>; SHELVES]);

impl<T, const SHELVES: usize> Table<T, SHELVES> {
    const fn new() -> Self {
        Table([const { Vec::new() }; SHELVES])
    }

    fn shelf(&mut self, id: u32) -> Option<&mut Shelf<T>> {
        self.0.get_mut(id as usize % SHELVES)
    }

    fn entry(&mut self, id: u32) -> Option<&mut Option<Box<T>>> {
        self.shelf(id)?.iter_mut().find(|(other, _)| *other == id).map(|(_, entry)| entry)
    }

    /// A number that is given again names the new context.
    fn insert(&mut self, id: u32, context: Box<T>) {
        match self.entry(id) {
            Some(entry) => *entry = Some(context),
            None => {
                if let Some(shelf) = self.shelf(id) {
                    shelf.push((id, Some(context)));
                }
            }
        }
    }

    fn take(&mut self, id: u32) -> Option<Box<T>> {
        self.entry(id)?.take()
    }

    /// A context that was removed meanwhile stays removed.
    fn put_back(&mut self, id: u32, context: Box<T>) {
        if let Some(entry) = self.entry(id) {
            *entry = Some(context);
        }
    }

    fn remove(&mut self, id: u32) -> Option<Box<T>> {
        let shelf = self.shelf(id)?;
        let at = shelf.iter().position(|(other, _)| *other == id)?;
        shelf.swap_remove(at).1
    }
}

struct Contexts {
    roots: Table<Root, 1>,
    streams: Table<Stream, 256>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = const { RefCell::new(Contexts { roots: Table::new(), streams: Table::new() }) };
}

/// Never held while code outside of this file runs, so that it is always to be had.
fn with<R>(work: impl FnOnce(&mut Contexts) -> Option<R>) -> Option<R> {
    CONTEXTS.try_with(|contexts| work(&mut *contexts.try_borrow_mut().ok()?)).ok()?
}

fn on_root<R>(id: u32, callback: impl FnOnce(&mut Root) -> R) -> Option<R> {
    let mut root = with(|contexts| contexts.roots.take(id))?;
    let result = callback(&mut root);
    with(|contexts| {
        contexts.roots.put_back(id, root);
        Some(result)
    })
}

#[inline(never)]
fn take(id: u32) -> Option<Box<Stream>> {
    with(|contexts| contexts.streams.take(id))
}

#[inline(never)]
fn put_back(id: u32, stream: Box<Stream>) {
    with(|contexts| {
        contexts.streams.put_back(id, stream);
        Some(())
    });
}

/// For a stream that is not known nothing passes.
fn on_stream(id: u32, callback: impl FnOnce(&mut Stream) -> Action) -> Action {
    let Some(mut stream) = take(id) else { return Action::Pause };
    let action = callback(&mut stream);
    put_back(id, stream);
    action
}

/// Whether it is a stream at all.
fn tell_stream(id: u32, callback: impl FnOnce(&mut Stream)) -> bool {
    let Some(mut stream) = take(id) else { return false };
    callback(&mut stream);
    put_back(id, stream);
    true
}

#[cfg(target_os = "wasi")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// The first call of all, once for each VM.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    // SAFETY: this is the one call, before any other code of the module runs.
    #[cfg(target_os = "wasi")]
    unsafe {
        __wasm_call_ctors();
    }
}

/// Its name tells the host which ABI this is.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands over; `calls` takes it back as a `Vec`. Null where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        // SAFETY: the size is not zero.
        Ok(layout) if size > 0 => unsafe { alloc(layout) },
        _ => null_mut(),
    }
}

/// `parent` is 0 for a root context, and a stream's root context else.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    if parent == 0 {
        with(|contexts| {
            contexts.roots.insert(id, Box::default());
            Some(())
        });
    } else if let Some(stream) = on_root(parent, |root| Box::new(root.create_stream(id))) {
        with(|contexts| {
            contexts.streams.insert(id, stream);
            Some(())
        });
    }
}

/// Streams and root contexts share their numbers. What is dropped is dropped here, when nothing is borrowed.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    let stream = with(|contexts| contexts.streams.remove(id));
    if stream.is_none() {
        let _root = with(|contexts| contexts.roots.remove(id));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(id: u32, size: usize) -> u32 {
    u32::from(on_root(id, |root| root.on_configure(size)).unwrap_or(false))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, count: usize, end_of_stream: u32) -> Action {
    on_stream(id, |stream| stream.on_http_request_headers(count, end_of_stream != 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: u32) -> Action {
    on_stream(id, |stream| stream.on_http_request_body(size, end_of_stream != 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(id: u32, count: usize) -> Action {
    on_stream(id, |stream| stream.on_http_request_trailers(count))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, count: usize, end_of_stream: u32) -> Action {
    on_stream(id, |stream| stream.on_http_response_headers(count, end_of_stream != 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(id: u32, size: usize, end_of_stream: u32) -> Action {
    on_stream(id, |stream| stream.on_http_response_body(size, end_of_stream != 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(id: u32, count: usize) -> Action {
    on_stream(id, |stream| stream.on_http_response_trailers(count))
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    tell_stream(id, HttpContext::on_log);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(id: u32) {
    on_root(id, RootContext::on_tick);
}

/// `id` is the context that called out (`ContextBase::onHttpCallResponse` in proxy-wasm-cpp-host, src/context.cc).
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(id: u32, token: u32, headers: usize, body_size: usize, trailers: usize) {
    if !tell_stream(id, |stream| stream.on_http_call_response(token, headers, body_size, trailers)) {
        on_root(id, |root| root.on_http_call_response(token, headers, body_size, trailers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_by_their_number_alone() {
        let mut table: Table<u32, 4> = Table::new();
        (1..100).for_each(|id| table.insert(id, Box::new(id * 10)));
        for id in 1..100 {
            let context = table.take(id).unwrap();
            assert_eq!(*context, id * 10);
            table.put_back(id, context);
        }
        assert_eq!(table.take(100), None);
        (1..100)
            .filter(|id| id % 3 == 0)
            .for_each(|id| assert_eq!(table.remove(id).map(|found| *found), Some(id * 10)));
        assert_eq!((1..100).filter(|&id| table.take(id).is_some()).count(), 66);
        assert_eq!(table.remove(3), None);
    }

    #[test]
    fn a_context_whose_callback_runs_is_not_to_be_had() {
        let mut table: Table<u32, 1> = Table::new();
        table.insert(1, Box::new(10));
        let context = table.take(1).unwrap();
        assert_eq!(table.take(1), None);
        table.put_back(1, context);
        assert_eq!(table.take(1).as_deref(), Some(&10));
    }

    #[test]
    fn a_context_that_is_removed_while_its_callback_runs_does_not_come_back() {
        let mut table: Table<u32, 1> = Table::new();
        table.insert(1, Box::new(10));
        let context = table.take(1).unwrap();
        assert_eq!(table.remove(1), None);
        table.put_back(1, context);
        assert_eq!(table.take(1), None);
        assert!(table.0.iter().all(Vec::is_empty));
    }
}
