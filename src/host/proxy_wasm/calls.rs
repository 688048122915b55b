//! The host functions of proxy-wasm ABI 0.2.1 that are used here, as safe functions. A status is a plain number, so
//! that one which no specification knows is an error and not undefined behaviour.

use crate::exchange::{CallOut, Fault, HostError, Level};
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, StreamType};
use std::ptr::null_mut;
use std::time::Duration;

/// `WasmResult::Ok`.
const OK: u32 = 0;

// Envoy binds imports of the module `env` by name.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, data_size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, return_data: *mut *mut u8, return_size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_current_time_nanoseconds(return_time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, return_id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, return_data: *mut *mut u8, return_size: *mut usize)
    -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        return_data: *mut *mut u8,
        return_size: *mut usize,
        return_cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
}

/// Writes a line to the host's log. Nothing depends on it, so a failure is nobody's.
pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Info => LogLevel::Info,
        Level::Error => LogLevel::Error,
    };
    // SAFETY: the host reads `message.len()` bytes of a live slice before it returns.
    let _status = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// All that the buffer holds now.
pub fn buffer(buffer: BufferType) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers live across the call.
    let status = unsafe { proxy_get_buffer_bytes(buffer as u32, 0, usize::MAX, &mut data, &mut size) };
    handed_over("proxy_get_buffer_bytes", status, data, size)
}

/// Replaces the buffer, which holds `size` bytes.
pub fn replace_buffer(buffer: BufferType, size: usize, data: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads `data.len()` bytes of a live slice before it returns.
    let status = unsafe { proxy_set_buffer_bytes(buffer as u32, 0, size, data.as_ptr(), data.len()) };
    done("proxy_set_buffer_bytes", status)
}

/// The whole header map, serialised as `pairs` reads it.
pub fn header_map(map: MapType) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers live across the call.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &mut data, &mut size) };
    handed_over("proxy_get_header_map_pairs", status, data, size)
}

/// Sets a header; every other value of that name goes.
pub fn replace_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads both live slices before it returns.
    let status =
        unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    done("proxy_replace_header_map_value", status)
}

/// Adds a header beside those of that name.
pub fn add_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads both live slices before it returns.
    let status =
        unsafe { proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    done("proxy_add_header_map_value", status)
}

/// Removes every header of that name.
pub fn remove_header(map: MapType, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads the live slice before it returns.
    let status = unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    done("proxy_remove_header_map_value", status)
}

/// A property of the stream or its connection; `None` where the host has none of that name. The parts of a path are separated
/// by NUL.
pub fn property(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    /// `WasmResult::NotFound`.
    const NOT_FOUND: u32 = 1;
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the host reads the live slice before it returns, and both out-pointers live across the call.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    match status {
        NOT_FOUND => Ok(None),
        status => handed_over("proxy_get_property", status, data, size).map(Some),
    }
}

/// Sets a property of the stream, which Envoy keeps as the filter state `wasm.<name>`. Nothing depends on it, so a failure is
/// nobody's.
pub fn set_property(name: &str, value: &[u8]) {
    // SAFETY: the host reads both live slices before it returns.
    let _status = unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Answers the request in the upstream's place. `headers` is a map as `pairs` writes it. The second status is that for a client that speaks
/// gRPC, to whom the host sends the body as its message.
pub fn send_local_response(
    (status, grpc_status): (u16, u8),
    details: &str,
    headers: &[u8],
    body: &[u8],
) -> Result<(), HostError> {
    // SAFETY: the host reads the three live slices before it returns.
    let status = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    };
    done("proxy_send_local_response", status)
}

/// Sends a request to a cluster; its answer comes with the number that is given. This is the one function of the SDK that is used,
/// since its dispatcher has to know that number. It panics on a status that no host gives here (`ContextBase::httpCall` and Envoy's
/// `Context::httpCall` know three).
pub fn http_call(call_out: &CallOut) -> Result<u32, HostError> {
    let headers = call_out.headers.iter().map(|(name, value)| (&**name, value.as_str())).collect();
    let timeout = Duration::from_millis(call_out.timeout_ms.into());
    let body = Some(&*call_out.body).filter(|body| !body.is_empty());
    proxy_wasm::hostcalls::dispatch_http_call(&call_out.cluster, headers, body, Vec::new(), timeout)
        .map_err(|status| HostError { call: "proxy_http_call", fault: Fault::Status(status as u32) })
}

/// Has the calls that follow act on the exchange of this context, until this callback ends.
pub fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: takes a number only.
    done("proxy_set_effective_context", unsafe { proxy_set_effective_context(context) })
}

/// Lets a request that was held back go on.
pub fn resume_request() -> Result<(), HostError> {
    // SAFETY: takes a number only.
    done("proxy_continue_stream", unsafe { proxy_continue_stream(StreamType::HttpRequest as u32) })
}

/// Cuts a stream off.
pub fn reset(stream: StreamType) {
    // SAFETY: takes a number only.
    let _status = unsafe { proxy_close_stream(stream as u32) };
}

/// Nanoseconds since 1970, on a clock that may be set.
pub fn now() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the out-pointer lives across the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut time) };
    done("proxy_get_current_time_nanoseconds", status).map(|()| time)
}

/// Has the root context's `on_tick` called so often.
pub fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: takes a number only.
    done("proxy_set_tick_period_milliseconds", unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// The number of a stat, which is made where there is none of that name. Takes a lock: once a VM, not once a request.
pub fn define_metric(kind: MetricType, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the host reads a live slice before it returns; the out-pointer lives across the call.
    let status = unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) };
    done("proxy_define_metric", status).map(|()| id)
}

/// Adds to a counter or gauge.
pub fn increment_metric(id: u32, by: i64) -> Result<(), HostError> {
    // SAFETY: takes numbers only.
    done("proxy_increment_metric", unsafe { proxy_increment_metric(id, by) })
}

/// Sets a gauge, or gives a value to a histogram.
pub fn record_metric(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: takes numbers only.
    done("proxy_record_metric", unsafe { proxy_record_metric(id, value) })
}

/// What all workers share under a key, and its version; `None` where there is nothing.
pub fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    const CALL: &str = "proxy_get_shared_data";
    const NOT_FOUND: u32 = 1;
    let (mut data, mut size, mut version) = (null_mut(), 0, 0);
    // SAFETY: the host reads a live slice before it returns; the out-pointers live across the call.
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut version) };
    match status {
        NOT_FOUND => Ok(None),
        status => handed_over(CALL, status, data, size).map(|data| Some((data, version))),
    }
}

/// Sets what all workers share under a key, if it is of this version still or there is nothing; says whether it was set.
///
/// A version that none can be (`u32::MAX`) sets it only where there is nothing: the host compares versions where there is
/// something, and nothing else (`SharedData::set` in proxy-wasm-cpp-host's src/shared_data.cc).
pub fn set_shared_data(key: &str, value: &[u8], version: u32) -> Result<bool, HostError> {
    const CAS_MISMATCH: u32 = 8;
    // SAFETY: the host reads both live slices before it returns.
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) };
    match status {
        CAS_MISMATCH => Ok(false),
        status => done("proxy_set_shared_data", status).map(|()| true),
    }
}

fn done(call: &'static str, status: u32) -> Result<(), HostError> {
    match status {
        OK => Ok(()),
        status => Err(HostError { call, fault: Fault::Status(status) }),
    }
}

/// Takes over the memory that the host filled for us.
fn handed_over(call: &'static str, status: u32, data: *mut u8, size: usize) -> Result<Vec<u8>, HostError> {
    done(call, status)?;
    match (data.is_null(), size) {
        (_, 0) => Ok(Vec::new()),
        (true, _) => Err(HostError { call, fault: Fault::Data }),
        // SAFETY: with OK, the host hands over a block of `size` bytes that it got from the SDK's
        // `proxy_on_memory_allocate`, which leaks a `Vec` with that capacity (proxy-wasm 0.2.5, `src/allocator.rs`).
        (false, _) => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
    }
}
