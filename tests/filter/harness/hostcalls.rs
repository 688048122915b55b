//! What of the host's functions the filter does not use yet, called as a filter would call them.

use super::host::{MetricKind, status};
use std::ptr::null_mut;
use std::time::Duration;

unsafe extern "C" {
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    safe fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_register_shared_queue(name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(vm: *const u8, vm_size: usize, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, value: *const u8, size: usize) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    safe fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, size: usize) -> u32;
}

/// A value, or the status other than OK.
pub type Answer<T> = Result<T, u32>;

fn answer<T>(status: u32, value: T) -> Answer<T> {
    if status == status::OK { Ok(value) } else { Err(status) }
}

/// Takes over what the host hands over.
fn data(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Answer<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    answer(call(&mut data, &mut size), ())?;
    // SAFETY: the filter's allocator made the memory for exactly so many bytes.
    Ok(if data.is_null() { Vec::new() } else { unsafe { Vec::from_raw_parts(data, size, size) } })
}

pub fn define_metric(kind: MetricKind, name: &str) -> Answer<u32> {
    let mut id = 0;
    // SAFETY: a live text and out-pointer.
    answer(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) }, ())?;
    Ok(id)
}

pub fn get_metric(id: u32) -> Answer<u64> {
    let mut value = 0;
    // SAFETY: a live out-pointer.
    answer(unsafe { proxy_get_metric(id, &mut value) }, ())?;
    Ok(value)
}

pub fn record_metric(id: u32, value: u64) -> Answer<()> {
    answer(proxy_record_metric(id, value), ())
}

pub fn increment_metric(id: u32, offset: i64) -> Answer<()> {
    answer(proxy_increment_metric(id, offset), ())
}

/// The value and the number to swap it with.
pub fn get_shared_data(key: &str) -> Answer<(Vec<u8>, u32)> {
    let mut cas = 0;
    // SAFETY: a live text and out-pointers.
    let value = data(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas) })?;
    Ok((value, cas))
}

pub fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Answer<()> {
    // SAFETY: live bytes.
    answer(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }, ())
}

pub fn register_shared_queue(name: &str) -> Answer<u32> {
    let mut id = 0;
    // SAFETY: a live text and out-pointer.
    answer(unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut id) }, ())?;
    Ok(id)
}

pub fn resolve_shared_queue(name: &str) -> Answer<u32> {
    let mut id = 0;
    // SAFETY: live texts and out-pointer.
    answer(unsafe { proxy_resolve_shared_queue(name.as_ptr(), 0, name.as_ptr(), name.len(), &mut id) }, ())?;
    Ok(id)
}

pub fn enqueue_shared_queue(id: u32, value: &[u8]) -> Answer<()> {
    // SAFETY: live bytes.
    answer(unsafe { proxy_enqueue_shared_queue(id, value.as_ptr(), value.len()) }, ())
}

pub fn dequeue_shared_queue(id: u32) -> Answer<Vec<u8>> {
    // SAFETY: live out-pointers.
    data(|data, size| unsafe { proxy_dequeue_shared_queue(id, data, size) })
}

/// Nanoseconds.
pub fn get_current_time() -> Answer<u64> {
    let mut time = 0;
    // SAFETY: a live out-pointer.
    answer(unsafe { proxy_get_current_time_nanoseconds(&mut time) }, ())?;
    Ok(time)
}

pub fn set_tick_period(period: Duration) -> Answer<()> {
    answer(proxy_set_tick_period_milliseconds(period.as_millis() as u32), ())
}

/// The token of the call-out.
pub fn http_call(cluster: &str, headers: &[u8], timeout: Duration) -> Answer<u32> {
    let mut token = 0;
    let timeout = timeout.as_millis() as u32;
    let none = headers.as_ptr();
    // SAFETY: live bytes and out-pointer; no bytes of the body and the trailers.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            none,
            0,
            none,
            0,
            timeout,
            &mut token,
        )
    };
    answer(status, ())?;
    Ok(token)
}

pub fn resume_http_request() -> Answer<()> {
    answer(proxy_continue_stream(0), ())
}

/// Paths are joined by NUL.
pub fn get_property(path: &[&str]) -> Answer<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: a live text and out-pointers.
    data(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub fn set_property(path: &[&str], value: &[u8]) -> Answer<()> {
    let path = path.join("\0");
    // SAFETY: live bytes.
    answer(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }, ())
}

pub fn remove_request_header(name: &str) -> Answer<()> {
    // SAFETY: a live text.
    answer(unsafe { proxy_remove_header_map_value(0, name.as_ptr(), name.len()) }, ())
}
