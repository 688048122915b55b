//! The functions that Envoy looks for when it loads a module, and calls. Each catches what panics: nothing unwinds into Envoy.

use super::abi::{self, Header, Object, Text, status};
use super::calls::{Filter, array, bytes, pairs};
use super::parting::Parting;
use super::plugin::Plugin;
use super::stream::Stream;
use crate::exchange::{Flow, Half};
use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::rc::Rc;
use std::sync::Arc;

/// What a hook answers where it can't answer anything else.
fn guarded<R>(otherwise: R, work: impl FnOnce() -> R) -> R {
    // Whatever a panic leaves half done belongs to one stream, which is refused, or to stats.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

/// Runs a hook of a stream. Where it panics, the stream is refused, or reset where its answer is on the way. There is no stream where the
/// hook that makes it has panicked (Envoy 1.39 calls the others all the same): nothing of it is forwarded.
///
/// # Safety
/// The pointer is what `on_http_filter_new` returned, and `on_http_filter_destroy` has not been called for it before.
unsafe fn of_stream(
    stream: *const c_void,
    [go, stop]: [u32; 2],
    is_replaceable: bool,
    hook: impl FnOnce(&Stream) -> Flow,
) -> u32 {
    guarded(stop, || {
        let stream = stream.cast::<Stream>();
        if stream.is_null() {
            return stop;
        }
        // SAFETY: the caller's. The stream is kept until the hook returns, since Envoy may destroy the filter meanwhile.
        let stream = unsafe {
            Rc::increment_strong_count(stream);
            Rc::from_raw(stream)
        };
        if stream.is_broken() {
            return stop;
        }
        let flow = catch_unwind(AssertUnwindSafe(|| hook(&stream)));
        match flow {
            Ok(Flow::Continue) => go,
            Ok(Flow::Pause) => stop,
            Err(_) => {
                stream.broke(is_replaceable);
                stop
            }
        }
    })
}

/// The ABI that the module was made for.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    guarded(null(), || abi::version().as_ptr())
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    config: Object,
    name: Text,
    json: Text,
) -> *const c_void {
    guarded(null(), || {
        // SAFETY: Envoy's texts live across the hook; the configuration is being made, on the main thread.
        let plugin = unsafe { Plugin::new(config, bytes(name), bytes(json)) };
        plugin.map_or(null(), |plugin| Arc::into_raw(Arc::new(plugin)).cast())
    })
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(plugin: *const c_void) {
    // SAFETY: `on_http_filter_config_new` returned it, and Envoy destroys it once.
    guarded((), || drop(unsafe { Arc::from_raw(plugin.cast::<Plugin>()) }));
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    config: Object,
    plugin: *const c_void,
    _event: u64,
) {
    guarded((), || {
        // SAFETY: `on_http_filter_config_new` returned it, and it is not destroyed; Envoy calls this on the main thread.
        unsafe { (*plugin.cast::<Plugin>()).tick(config) }
    });
}

/// A route can't have a configuration of its own: a null pointer refuses it.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(_name: Text, _json: Text) -> *const c_void {
    null()
}

/// There is none.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(_config: *const c_void) {}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    plugin: *const c_void,
    filter: Object,
) -> *const c_void {
    guarded(null(), || {
        // SAFETY: `on_http_filter_config_new` returned it, and it is not destroyed as long as it makes filters.
        let plugin = unsafe { &*plugin.cast::<Plugin>() };
        #[cfg(feature = "trap")]
        plugin.panic_when_asked();
        // SAFETY: the filter lives until its destruction is told.
        let stream = Rc::new_cyclic(|me| unsafe { Stream::new(plugin, filter, me.clone()) });
        Rc::into_raw(stream).cast()
    })
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(stream: *const c_void) {
    guarded((), || {
        if stream.is_null() {
            return;
        }
        // SAFETY: `on_http_filter_new` returned it, and Envoy destroys it once.
        let stream = unsafe { Rc::from_raw(stream.cast::<Stream>()) };
        stream.over();
    });
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: Object,
    stream: *const c_void,
    end_of_stream: bool,
) -> u32 {
    if stream.is_null() {
        return guarded(status::STOP_ALL, || {
            // SAFETY: Envoy's filter lives while its hook runs.
            Parting::of_a_panic(false).send(&unsafe { Filter::new(filter) });
            status::STOP_ALL
        });
    }
    // Neither body nor trailers come while the head is held back for an answer to a question. A head that goes nowhere waits for its body.
    let waits_for_body = Cell::new(false);
    let hook = |stream: &Stream| {
        let flow = stream.request_head(end_of_stream);
        waits_for_body.set(flow == Flow::Pause && stream.asks_nothing());
        flow
    };
    // SAFETY: Envoy calls hooks between those that make and destroy the filter.
    let answer = unsafe { of_stream(stream, [status::CONTINUE, status::STOP_ALL], true, hook) };
    if waits_for_body.get() { status::STOP } else { answer }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    _filter: Object,
    stream: *const c_void,
    end_of_stream: bool,
) -> u32 {
    let answers = [status::CONTINUE, status::HOLD];
    // SAFETY: as above.
    unsafe { of_stream(stream, answers, true, |stream| stream.body(Half::Request, end_of_stream)) }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    _filter: Object,
    stream: *const c_void,
) -> u32 {
    // SAFETY: as above.
    unsafe { of_stream(stream, [status::CONTINUE, status::STOP], true, |stream| stream.trailers(Half::Request)) }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    _filter: Object,
    stream: *const c_void,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: as above.
    unsafe { of_stream(stream, [status::CONTINUE, status::STOP], true, |stream| stream.answer_head(end_of_stream)) }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    _filter: Object,
    stream: *const c_void,
    end_of_stream: bool,
) -> u32 {
    let answers = [status::CONTINUE, status::HOLD];
    // SAFETY: as above.
    unsafe { of_stream(stream, answers, false, |stream| stream.body(Half::Answer, end_of_stream)) }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
    _filter: Object,
    stream: *const c_void,
) -> u32 {
    // SAFETY: as above.
    unsafe { of_stream(stream, [status::CONTINUE, status::STOP], false, |stream| stream.trailers(Half::Answer)) }
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(_filter: Object, stream: *const c_void) {
    guarded((), || {
        if stream.is_null() {
            return;
        }
        // SAFETY: as above; Envoy destroys the filter after this.
        let stream = unsafe { &*stream.cast::<Stream>() };
        if catch_unwind(AssertUnwindSafe(|| stream.complete())).is_err() {
            stream.broke_at_its_end();
        }
    });
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_http_callout_done(
    _filter: Object,
    stream: *const c_void,
    id: u64,
    result: u32,
    headers: *const Header,
    headers_size: usize,
    chunks: *const Text,
    chunks_size: usize,
) {
    let hook = |stream: &Stream| {
        if result != abi::CALL_OUT_SUCCESS {
            stream.answered(id, None);
            return Flow::Pause;
        }
        // SAFETY: Envoy's arrays have so many elements, and they live until the hook returns.
        let (headers, chunks) = unsafe { (pairs(array(headers, headers_size)), array(chunks, chunks_size)) };
        // SAFETY: likewise.
        let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| unsafe { bytes(*chunk) }).collect();
        stream.answered(id, Some((&headers, &chunks)));
        Flow::Pause
    };
    // SAFETY: as above.
    unsafe { of_stream(stream, [0, 0], true, hook) };
}

/// # Safety
/// Envoy's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    _filter: Object,
    stream: *const c_void,
    _event: u64,
) {
    let hook = |stream: &Stream| {
        stream.ask_in_place();
        Flow::Pause
    };
    // SAFETY: as above.
    unsafe { of_stream(stream, [0, 0], true, hook) };
}

/// Envoy's local replies are sent.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_local_reply(
    _filter: Object,
    _stream: *const c_void,
    _status: u32,
    _details: Text,
    _reset_imminent: bool,
) -> u32 {
    0
}

/// Hooks that Envoy looks for, and that are called for nothing that this module asks for. The arguments of a function that reads none
/// may be whatever they are.
macro_rules! unused {
    ($($name:ident),+ $(,)?) => {
        $(
            /// Does nothing.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() {}
        )+
    };
}

unused!(
    envoy_dynamic_module_on_http_filter_config_http_callout_done,
    envoy_dynamic_module_on_http_filter_config_http_stream_complete,
    envoy_dynamic_module_on_http_filter_config_http_stream_data,
    envoy_dynamic_module_on_http_filter_config_http_stream_headers,
    envoy_dynamic_module_on_http_filter_config_http_stream_reset,
    envoy_dynamic_module_on_http_filter_config_http_stream_trailers,
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark,
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark,
    envoy_dynamic_module_on_http_filter_http_stream_complete,
    envoy_dynamic_module_on_http_filter_http_stream_data,
    envoy_dynamic_module_on_http_filter_http_stream_headers,
    envoy_dynamic_module_on_http_filter_http_stream_reset,
    envoy_dynamic_module_on_http_filter_http_stream_trailers,
);
