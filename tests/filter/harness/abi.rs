//! The host functions that work on a stream: header maps, buffers, properties, local replies, pausing.

use super::half::Phase;
use super::host::{self, Host, status};
use super::http::{Headers, Response};
use promql_tenancy_filter::answer::MAX_GROWTH;

unsafe extern "C" {
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// Runs one host call: counted, subject to the faults, on this thread's state.
pub fn call(name: &'static str, work: impl FnOnce(&mut Host) -> Result<(), u32>) -> u32 {
    host::with(|host| match host.enter(name) {
        Some(fault) => fault,
        None => work(host).err().unwrap_or(status::OK),
    })
}

/// The bytes that the filter passes.
///
/// # Safety
/// `data` points to `size` readable bytes, or `size` is 0.
pub unsafe fn bytes(data: *const u8, size: usize) -> Vec<u8> {
    host::crossed(size);
    match size {
        0 => Vec::new(),
        // SAFETY: the caller's promise.
        _ => unsafe { std::slice::from_raw_parts(data, size) }.to_vec(),
    }
}

/// Hands bytes over to the filter, in memory that it allocates, as a real host does. No bytes are a null pointer.
///
/// # Safety
/// Both pointers can be written to.
pub unsafe fn hand_over(data: &[u8], return_data: *mut *mut u8, return_size: *mut usize) {
    host::crossed(data.len());
    // SAFETY: the allocator gives `data.len()` bytes; the pointers are the caller's promise.
    unsafe {
        let memory = match data.len() {
            0 => std::ptr::null_mut(),
            size => proxy_on_memory_allocate(size),
        };
        std::ptr::copy_nonoverlapping(data.as_ptr(), memory, if memory.is_null() { 0 } else { data.len() });
        *return_data = memory;
        *return_size = data.len();
    }
}

/// Writes a header map as the ABI has it.
pub fn serialise(headers: &Headers) -> Vec<u8> {
    let mut bytes = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers.iter() {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers.iter() {
        for text in [name, value] {
            bytes.extend(text);
            bytes.push(0);
        }
    }
    bytes
}

/// Reads a header map that the filter wrote. Malformed ones are the filter's mistake: panics.
pub fn deserialise(bytes: &[u8]) -> Headers {
    let mut headers = Headers::default();
    if bytes.is_empty() {
        return headers;
    }
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut text = 4 + 8 * number(0);
    for pair in 0..number(0) {
        let (name, value) = (number(4 + 8 * pair), number(8 + 8 * pair));
        headers.add(&bytes[text..text + name], &bytes[text + name + 1..text + name + 1 + value]);
        text += name + value + 2;
    }
    assert_eq!(text, bytes.len(), "bytes left over after a header map");
    headers
}

/// The map of that number, where the filter may see it now. Envoy 1.40.0 answers BAD_ARGUMENT out of phase.
fn map(host: &mut Host, number: u32, write: bool) -> Result<&mut Headers, u32> {
    if number >= 6 {
        let answer = host.call_out_answer.as_mut().ok_or(status::BAD_ARGUMENT)?;
        return Ok(if number == 6 { &mut answer.headers } else { &mut answer.trailers });
    }
    let stream = host.stream().ok_or(status::BAD_ARGUMENT)?;
    let half = if number < 2 { &mut stream.request } else { &mut stream.response };
    let head_in_reach = if write { half.head_writable() } else { half.head_readable() };
    match number {
        0 | 2 if head_in_reach => Ok(&mut half.headers),
        1 | 3 if half.phase == Phase::Trailers => Ok(&mut half.trailers),
        _ => Err(status::BAD_ARGUMENT),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(number: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    call("proxy_get_header_map_pairs", |host| {
        let garbage = host.garbage_map.clone();
        let map = map(host, number, false)?;
        let bytes = garbage.unwrap_or_else(|| serialise(map));
        // SAFETY: the filter's out-pointers.
        unsafe { hand_over(&bytes, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_header_map_pairs(number: u32, data: *const u8, size: usize) -> u32 {
    call("proxy_set_header_map_pairs", |host| {
        // SAFETY: the filter's own bytes.
        *map(host, number, true)? = deserialise(&unsafe { bytes(data, size) });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    number: u32,
    name: *const u8,
    name_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call("proxy_get_header_map_value", |host| {
        // SAFETY: the filter's own bytes and out-pointers.
        unsafe {
            let name = bytes(name, name_size).to_ascii_lowercase();
            let map = map(host, number, false)?;
            let (_, value) = map.iter().find(|(held, _)| *held == name).ok_or(status::NOT_FOUND)?;
            hand_over(value, data, size);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    number: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    call("proxy_replace_header_map_value", |host| {
        // SAFETY: the filter's own bytes.
        let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
        map(host, number, true)?.set(&name, &value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    number: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    call("proxy_add_header_map_value", |host| {
        // SAFETY: the filter's own bytes.
        let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
        map(host, number, true)?.add(&name, &value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(number: u32, name: *const u8, name_size: usize) -> u32 {
    call("proxy_remove_header_map_value", |host| {
        // SAFETY: the filter's own bytes.
        let name = unsafe { bytes(name, name_size) };
        map(host, number, true)?.remove(&name);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call("proxy_get_buffer_bytes", |host| {
        let short_by = host.short_by;
        let bytes: &[u8] = match buffer {
            0 => &host.stream().ok_or(status::NOT_FOUND)?.request.body,
            1 => &host.stream().ok_or(status::NOT_FOUND)?.response.body,
            4 => &host.call_out_answer.as_ref().ok_or(status::NOT_FOUND)?.body,
            6 => &host.vm_configuration,
            7 => &host.plugin_configuration,
            _ => return Err(status::NOT_FOUND),
        };
        let start = start.min(bytes.len());
        let end = start.saturating_add(max_size).min(bytes.len()).saturating_sub(short_by).max(start);
        // SAFETY: the filter's out-pointers.
        unsafe { hand_over(&bytes[start..end], data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    buffer: u32,
    start: usize,
    length: usize,
    data: *const u8,
    size: usize,
) -> u32 {
    call("proxy_set_buffer_bytes", |host| {
        // SAFETY: the filter's own bytes.
        let data = unsafe { bytes(data, size) };
        let stream = host.stream().ok_or(status::NOT_FOUND)?;
        let half = match buffer {
            0 => &mut stream.request,
            1 => &mut stream.response,
            _ => return Err(status::NOT_FOUND),
        };
        if !half.body_writable() {
            return Err(status::BAD_ARGUMENT);
        }
        // Envoy replaces from the front, or adds to an end; a hole in the middle is a BAD_ARGUMENT.
        let held = half.body.len();
        match (start, length) {
            (0, _) => {
                half.body.splice(..length.min(held), data);
            }
            (start, _) if start >= held => half.body.extend(data),
            _ => return Err(status::BAD_ARGUMENT),
        }
        let is_longer =
            half.buffering && half.body.len() > held || half.sent.body.len() + half.body.len() > half.came + MAX_GROWTH;
        if buffer == 1 && is_longer {
            // Past the buffer limit, this kills Envoy 1.40.0 where the answer is held back.
            host.violations.push(format!("an answer of {held} bytes was made longer"));
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call("proxy_get_property", |host| {
        // SAFETY: the filter's own bytes and out-pointers.
        unsafe {
            let path = bytes(path, path_size);
            let value = host.stream().and_then(|stream| stream.properties.get(&path));
            hand_over(value.ok_or(status::NOT_FOUND)?, data, size);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32 {
    call("proxy_set_property", |host| {
        // SAFETY: the filter's own bytes.
        let (path, value) = unsafe { (bytes(path, path_size), bytes(value, value_size)) };
        host.stream().ok_or(status::NOT_FOUND)?.properties.insert(path, value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    code: u32,
    _details: *const u8,
    _details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    call("proxy_send_local_response", |host| {
        // SAFETY: the filter's own bytes.
        let (body, mut headers) = unsafe { (bytes(body, body_size), deserialise(&bytes(headers, headers_size))) };
        headers.set(b"content-length", body.len().to_string().as_bytes());
        if headers.all("content-type").is_empty() && !body.is_empty() {
            headers.set(b"content-type", b"text/plain");
        }
        let stream = host.stream().ok_or(status::BAD_ARGUMENT)?;
        let content_type = stream.request.headers.all("content-type").concat();
        if content_type == "application/grpc" {
            // Envoy makes trailers-only answers of these, with the status that it is given.
            headers.set(b"grpc-status", grpc_status.to_string().as_bytes());
        }
        let reply = Response { status: code as u16, headers, body, trailers: Headers::default() };
        if stream.local_reply.replace(reply).is_some() {
            host.violations.push("a second local reply".to_owned());
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_continue_stream(stream_type: u32) -> u32 {
    call("proxy_continue_stream", |host| {
        let stream = host.stream().ok_or(status::BAD_ARGUMENT)?;
        *stream.resumed.get_mut(stream_type as usize).ok_or(status::UNIMPLEMENTED)? = true;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_close_stream(_stream_type: u32) -> u32 {
    call("proxy_close_stream", |host| {
        host.stream().ok_or(status::BAD_ARGUMENT)?.reset = true;
        Ok(())
    })
}
