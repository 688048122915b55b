//! Envoy's functions as safe ones: of a filter, which is one stream of Envoy's.

use super::abi::{self, Header, Map, Object, Part, Text};
use crate::exchange::{CallOut, Fault, Half, HostError, Level};
use std::ptr::{null, null_mut};

/// A header's name and value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A filter of Envoy's. What is read of it borrows it, so that nothing can be changed meanwhile: Envoy's bytes move when it is.
#[derive(Debug)]
pub struct Filter(Object);

/// What is read of Envoy's memory.
const NOTHING: Text = Text { ptr: null(), length: 0 };

/// The module's bytes, for the time of a call.
pub fn text(bytes: &[u8]) -> Text {
    Text { ptr: bytes.as_ptr(), length: bytes.len() }
}

/// Bytes of Envoy's.
///
/// # Safety
/// They live as long as `'a`, and do not change meanwhile.
pub unsafe fn bytes<'a>(Text { ptr, length }: Text) -> &'a [u8] {
    match ptr.is_null() || length == 0 {
        true => &[],
        // SAFETY: not null, and the caller answers for the rest.
        false => unsafe { std::slice::from_raw_parts(ptr, length) },
    }
}

/// The pairs of Envoy's headers.
///
/// # Safety
/// They live as long as `'a`, and do not change meanwhile.
pub unsafe fn pairs<'a>(headers: &[Header]) -> Vec<Pair<'a>> {
    let pair = |header: &Header| {
        let name = Text { ptr: header.key_ptr, length: header.key_length };
        let value = Text { ptr: header.value_ptr, length: header.value_length };
        // SAFETY: the caller's.
        unsafe { (bytes(name), bytes(value)) }
    };
    headers.iter().map(pair).collect()
}

/// An array that Envoy wrote for a hook.
///
/// # Safety
/// It has that many elements, which live as long as `'a`.
pub unsafe fn array<'a, T>(first: *const T, count: usize) -> &'a [T] {
    match first.is_null() || count == 0 {
        true => &[],
        // SAFETY: not null, and the caller answers for the rest.
        false => unsafe { std::slice::from_raw_parts(first, count) },
    }
}

/// Has Envoy fill an array of `count` elements; empty where it does not.
fn filled<T>(count: usize, fill: impl FnOnce(*mut T) -> bool) -> Option<Vec<T>> {
    let mut array = Vec::with_capacity(count);
    if count == 0 {
        return Some(array);
    }
    if !fill(array.as_mut_ptr()) {
        return None;
    }
    // SAFETY: where Envoy says so, it has written each of the `count` elements, for which there is room.
    unsafe { array.set_len(count) };
    Some(array)
}

/// Writes a line to Envoy's log, of the component `dynamic_modules`.
pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Info => 2,
        Level::Error => 4,
    };
    // SAFETY: Envoy reads the live text before it returns.
    unsafe { abi::envoy_dynamic_module_callback_log(level, text(message.as_bytes())) };
}

/// Nanoseconds since 1970.
pub fn now() -> Option<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

fn done(call: &'static str, is_done: bool) -> Result<(), HostError> {
    if is_done { Ok(()) } else { Err(HostError { call, fault: Fault::Status(0) }) }
}

impl Filter {
    /// # Safety
    /// The pointer is that of a filter of Envoy's, which outlives this.
    pub unsafe fn new(filter: Object) -> Filter {
        Filter(filter)
    }

    /// Envoy's object, for stats.
    pub fn object(&self) -> Object {
        self.0
    }

    /// All headers, names in lower case.
    pub fn headers(&mut self, map: Map) -> Result<Vec<Pair<'_>>, HostError> {
        // SAFETY: the filter lives.
        let count = unsafe { abi::envoy_dynamic_module_callback_http_get_headers_size(self.0, map) };
        // SAFETY: there is room for as many headers as the map has.
        let fill = |first| unsafe { abi::envoy_dynamic_module_callback_http_get_headers(self.0, map, first) };
        let headers =
            filled::<Header>(count, fill).ok_or(HostError { call: "http_get_headers", fault: Fault::Data })?;
        // SAFETY: they live until the map changes, which this borrow forbids.
        Ok(unsafe { pairs(&headers) })
    }

    /// Sets a header; every other value of that name is removed.
    pub fn set_header(&mut self, map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        // SAFETY: the filter lives; Envoy copies both texts.
        let is_done =
            unsafe { abi::envoy_dynamic_module_callback_http_set_header(self.0, map, text(name), text(value)) };
        done("http_set_header", is_done)
    }

    /// Adds a header beside those of that name.
    pub fn add_header(&mut self, map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        // SAFETY: the filter lives; Envoy copies both texts.
        let is_done =
            unsafe { abi::envoy_dynamic_module_callback_http_add_header(self.0, map, text(name), text(value)) };
        done("http_add_header", is_done)
    }

    /// Removes every header of that name. A value that is a null pointer says so.
    pub fn remove_header(&mut self, map: Map, name: &[u8]) -> Result<(), HostError> {
        // SAFETY: the filter lives; Envoy copies the name.
        let is_done = unsafe { abi::envoy_dynamic_module_callback_http_set_header(self.0, map, text(name), NOTHING) };
        done("http_set_header", is_done)
    }

    /// The bytes of a body that Envoy has now. `is_held`: whether what came before is held back for this filter. Otherwise Envoy's buffer
    /// is an earlier filter's, or one whose bytes were forwarded.
    pub fn body_size(&self, half: Half, is_held: bool) -> usize {
        // SAFETY: the filter lives.
        let size = |part| unsafe { abi::envoy_dynamic_module_callback_http_get_body_size(self.0, part) };
        let [held, received] = parts(half);
        size(received) + if is_held { size(held) } else { 0 }
    }

    /// All of a body that Envoy has, which has to be `size` bytes: bytes that were not read must not be forwarded.
    pub fn body(&mut self, half: Half, is_held: bool, size: usize) -> Result<Vec<u8>, HostError> {
        const CALL: &str = "http_get_body_chunks";
        let mut body = Vec::with_capacity(size);
        for part in parts(half).into_iter().skip(usize::from(!is_held)) {
            // SAFETY: the filter lives.
            let chunks = unsafe { abi::envoy_dynamic_module_callback_http_get_body_chunks_size(self.0, part) };
            // SAFETY: there is room for as many chunks as the body has.
            let fill = |first| unsafe { abi::envoy_dynamic_module_callback_http_get_body_chunks(self.0, part, first) };
            let chunks = filled::<Text>(chunks, fill).ok_or(HostError { call: CALL, fault: Fault::Data })?;
            for chunk in chunks {
                // SAFETY: it lives until the body changes, which this borrow forbids.
                body.extend_from_slice(unsafe { bytes(chunk) });
            }
        }
        match body.len() == size {
            true => Ok(body),
            false => Err(HostError { call: CALL, fault: Fault::Data }),
        }
    }

    /// Replaces all of a body that Envoy has. What is written is put where the rest is held, if it is: what has come would be added to
    /// that only after the hook, and Envoy 1.40.0 crashes where the buffer's limit is passed then. Beside trailers there may be neither, and
    /// Envoy makes a buffer.
    pub fn replace_body(&mut self, half: Half, is_held: bool, data: &[u8]) -> Result<(), HostError> {
        let [held, received] = parts(half);
        // SAFETY: the filter lives. Where there is no such part, nothing is removed, and it says so.
        let drain = |part| unsafe { abi::envoy_dynamic_module_callback_http_drain_body(self.0, part, usize::MAX) };
        let is_received = drain(received);
        let is_held = is_held && drain(held);
        if self.body_size(half, is_held) != 0 {
            return Err(HostError { call: "http_drain_body", fault: Fault::Data });
        }
        if data.is_empty() {
            return Ok(());
        }
        let part = if is_received && !is_held { received } else { held };
        // SAFETY: the filter lives; Envoy copies the bytes.
        let is_done = unsafe { abi::envoy_dynamic_module_callback_http_append_body(self.0, part, text(data)) };
        done("http_append_body", is_done)
    }

    /// Answers in the upstream's place. May end the stream before it returns.
    pub fn send_response(&self, status: u16, headers: &[Pair<'_>], body: &[u8], details: &str) {
        let mut headers: Vec<Header> = headers.iter().map(|(name, value)| header(name, value)).collect();
        let (first, count) = (headers.as_mut_ptr(), headers.len());
        let details = text(details.as_bytes());
        // SAFETY: the filter lives; Envoy copies what it is given.
        unsafe {
            abi::envoy_dynamic_module_callback_http_send_response(
                self.0,
                status.into(),
                first,
                count,
                text(body),
                details,
            );
        }
    }

    /// Cuts the stream off. May end it before it returns.
    pub fn reset(&self) {
        let details = text(b"tenancy_reset");
        // SAFETY: the filter lives; Envoy copies the text.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_reset_stream(self.0, abi::LOCAL_RESET, details) };
    }

    /// Lets a request that was held back go on. What follows of it comes before this returns.
    pub fn continue_request(&self) {
        // SAFETY: the filter lives.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_continue_decoding(self.0) };
    }

    /// Has Envoy choose the route again, since it may depend on what was changed.
    pub fn clear_route_cache(&mut self) {
        // SAFETY: the filter lives.
        unsafe { abi::envoy_dynamic_module_callback_http_clear_route_cache(self.0) };
    }

    /// The subject of the client's certificate.
    pub fn subject(&mut self) -> Option<&[u8]> {
        self.attribute(abi::attribute::SUBJECT_PEER_CERTIFICATE)
    }

    /// What Envoy says of how the answer came to be.
    pub fn response_code_details(&mut self) -> Option<&[u8]> {
        self.attribute(abi::attribute::RESPONSE_CODE_DETAILS)
    }

    fn attribute(&mut self, attribute: u32) -> Option<&[u8]> {
        let mut found = NOTHING;
        // SAFETY: the filter lives; the out-pointer lives across the call.
        let is_found = unsafe {
            abi::envoy_dynamic_module_callback_http_filter_get_attribute_string(self.0, attribute, &mut found)
        };
        // SAFETY: it belongs to the connection or the stream, and nothing is changed while it is borrowed.
        is_found.then(|| unsafe { bytes(found) })
    }

    /// The status that the client got.
    pub fn response_code(&self) -> Option<u16> {
        let mut code = 0;
        let attribute = abi::attribute::RESPONSE_CODE;
        // SAFETY: the filter lives; the out-pointer lives across the call.
        let is_found =
            unsafe { abi::envoy_dynamic_module_callback_http_filter_get_attribute_int(self.0, attribute, &mut code) };
        is_found.then(|| u16::try_from(code).ok()).flatten()
    }

    /// Text of the filter state.
    pub fn filter_state(&mut self, key: &str) -> Option<&[u8]> {
        let mut found = NOTHING;
        // SAFETY: the filter lives; Envoy reads the key before it returns; the out-pointer lives across the call.
        let is_found = unsafe {
            abi::envoy_dynamic_module_callback_http_get_filter_state_bytes(self.0, text(key.as_bytes()), &mut found)
        };
        // SAFETY: it lives until the filter state changes, which this borrow forbids.
        is_found.then(|| unsafe { bytes(found) })
    }

    /// Sets text of the filter state, once. Nothing depends on it.
    pub fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        // SAFETY: the filter lives; Envoy copies both texts.
        unsafe {
            abi::envoy_dynamic_module_callback_http_set_filter_state_bytes(self.0, text(key.as_bytes()), text(value));
        }
    }

    /// Whether dynamic metadata has a key in a namespace.
    pub fn has_metadata(&mut self, namespace: &str, key: &str) -> bool {
        let namespace = text(namespace.as_bytes());
        // SAFETY: the filter lives; Envoy reads the text before it returns.
        let count = unsafe {
            abi::envoy_dynamic_module_callback_http_get_metadata_keys_count(self.0, abi::DYNAMIC_METADATA, namespace)
        };
        // SAFETY: likewise, and there is room for as many keys as the namespace has.
        let fill = |first| unsafe {
            abi::envoy_dynamic_module_callback_http_get_metadata_keys(self.0, abi::DYNAMIC_METADATA, namespace, first)
        };
        let keys = filled::<Text>(count, fill).unwrap_or_default();
        // SAFETY: they live until the metadata changes, which this borrow forbids.
        keys.into_iter().any(|found| unsafe { bytes(found) } == key.as_bytes())
    }

    /// Text of dynamic metadata; `None` where there is none, or something else.
    pub fn metadata_text(&mut self, namespace: &str, key: &str) -> Option<&[u8]> {
        let mut found = NOTHING;
        // SAFETY: the filter lives; Envoy reads the texts before it returns; the out-pointer lives across the call.
        let is_found = unsafe {
            abi::envoy_dynamic_module_callback_http_get_metadata_string(
                self.0,
                abi::DYNAMIC_METADATA,
                text(namespace.as_bytes()),
                text(key.as_bytes()),
                &mut found,
            )
        };
        // SAFETY: it lives until the metadata changes, which this borrow forbids.
        is_found.then(|| unsafe { bytes(found) })
    }

    /// The texts of a list in dynamic metadata, `None` for what is no text; `None` where there is no list.
    pub fn metadata_list(&mut self, namespace: &str, key: &str) -> Option<Vec<Option<&[u8]>>> {
        let (namespace, key) = (text(namespace.as_bytes()), text(key.as_bytes()));
        let mut size = 0;
        // SAFETY: the filter lives; Envoy reads the texts before it returns; the out-pointer lives across the call.
        let is_list = unsafe {
            abi::envoy_dynamic_module_callback_http_get_metadata_list_size(
                self.0,
                abi::DYNAMIC_METADATA,
                namespace,
                key,
                &mut size,
            )
        };
        let entry = |index| {
            let mut found = NOTHING;
            // SAFETY: likewise.
            let is_text = unsafe {
                abi::envoy_dynamic_module_callback_http_get_metadata_list_string(
                    self.0,
                    abi::DYNAMIC_METADATA,
                    namespace,
                    key,
                    index,
                    &mut found,
                )
            };
            // SAFETY: it lives until the metadata changes, which this borrow forbids.
            is_text.then(|| unsafe { bytes(found) })
        };
        is_list.then(|| (0..size).map(entry).collect())
    }

    /// Has the stream's hook `scheduled` called soon, on its own thread, if the stream is there still.
    pub fn schedule(&mut self) {
        // SAFETY: the filter lives. The scheduler is the module's, and is deleted once.
        unsafe {
            let scheduler = abi::envoy_dynamic_module_callback_http_filter_scheduler_new(self.0);
            abi::envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler, 0);
            abi::envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler);
        }
    }

    /// Sends a request to a cluster; its answer comes with the number that is given.
    pub fn http_call(&mut self, call_out: &CallOut) -> Option<u64> {
        let mut headers: Vec<Header> =
            call_out.headers.iter().map(|(name, value)| header(name.as_bytes(), value.as_bytes())).collect();
        let mut id = 0;
        // SAFETY: the filter lives; Envoy copies what it is given; the out-pointer lives across the call.
        let result = unsafe {
            abi::envoy_dynamic_module_callback_http_filter_http_callout(
                self.0,
                &mut id,
                text(call_out.cluster.as_bytes()),
                if headers.is_empty() { null_mut() } else { headers.as_mut_ptr() },
                headers.len(),
                if call_out.body.is_empty() { NOTHING } else { text(&call_out.body) },
                call_out.timeout_ms.into(),
            )
        };
        (result == abi::CALL_OUT_SUCCESS).then_some(id)
    }
}

/// The part of a body that is held back, and the part that has come with the running hook.
fn parts(half: Half) -> [Part; 2] {
    match half {
        Half::Request => [Part::HeldRequest, Part::ReceivedRequest],
        Half::Answer => [Part::HeldAnswer, Part::ReceivedAnswer],
    }
}

fn header(name: &[u8], value: &[u8]) -> Header {
    Header { key_ptr: name.as_ptr(), key_length: name.len(), value_ptr: value.as_ptr(), value_length: value.len() }
}
