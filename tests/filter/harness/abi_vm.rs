//! The host functions that work on the VM: log, clock, ticks, stats, shared data, queues, call-outs. gRPC and foreign
//! functions are not simulated and say so.

use super::abi::{bytes, call, deserialise, hand_over};
use super::host::{self, CallOut, LogLine, Metric, MetricKind, status};
use std::collections::VecDeque;

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    call("proxy_log", |host| {
        // SAFETY: the filter's own bytes.
        let text = String::from_utf8_lossy(&unsafe { bytes(message, size) }).into_owned();
        host.logs.push(LogLine { level, text });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut u32) -> u32 {
    // SAFETY: the filter's out-pointer.
    call("proxy_get_log_level", |_| unsafe {
        *level = 2;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    // SAFETY: the filter's out-pointer.
    call("proxy_get_current_time_nanoseconds", |host| unsafe {
        *time = host.now_ns;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    call("proxy_set_tick_period_milliseconds", |host| {
        host.tick_period_ms = period;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    call("proxy_set_effective_context", |host| {
        host.active = context;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_done() -> u32 {
    call("proxy_done", |_| Ok(()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32 {
    call("proxy_define_metric", |host| {
        // SAFETY: the filter's own bytes.
        let name = String::from_utf8_lossy(&unsafe { bytes(name, size) }).into_owned();
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(status::BAD_ARGUMENT),
        };
        // A name is one stat, however often it is defined.
        let at = host.metrics.iter().position(|metric| metric.name == name).unwrap_or_else(|| {
            host.metrics.push(Metric { kind, name, value: 0, records: Vec::new() });
            host.metrics.len() - 1
        });
        // SAFETY: the filter's out-pointer.
        unsafe { *id = at as u32 + 1 };
        Ok(())
    })
}

fn metric(host: &mut host::Host, id: u32) -> Result<&mut Metric, u32> {
    let at = (id as usize).checked_sub(1).ok_or(status::NOT_FOUND)?;
    host.metrics.get_mut(at).ok_or(status::NOT_FOUND)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_metric(id: u32, value: *mut u64) -> u32 {
    // SAFETY: the filter's out-pointer.
    call("proxy_get_metric", |host| unsafe {
        *value = metric(host, id)?.value;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> u32 {
    call("proxy_record_metric", |host| {
        let metric = metric(host, id)?;
        match metric.kind {
            MetricKind::Histogram => metric.records.push(value),
            MetricKind::Counter | MetricKind::Gauge => metric.value = value,
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> u32 {
    call("proxy_increment_metric", |host| {
        let metric = metric(host, id)?;
        match (metric.kind, offset) {
            (MetricKind::Histogram, _) => Err(status::BAD_ARGUMENT),
            (MetricKind::Counter, ..0) => Err(status::BAD_ARGUMENT),
            (MetricKind::Counter | MetricKind::Gauge, offset) => {
                metric.value = metric.value.saturating_add_signed(offset);
                Ok(())
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    call("proxy_get_shared_data", |host| {
        // SAFETY: the filter's own bytes and out-pointers.
        unsafe {
            let held = host.shared_data.get(&bytes(key, key_size)).ok_or(status::NOT_FOUND)?;
            hand_over(&held.0, data, size);
            *cas = held.1;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    call("proxy_set_shared_data", |host| {
        // SAFETY: the filter's own bytes.
        let (key, value) = unsafe { (bytes(key, key_size), bytes(value, value_size)) };
        // Where there is nothing, nothing is compared; 0 sets unconditionally (proxy-wasm-cpp-host, src/shared_data.cc).
        let held = host.shared_data.get(&key).map(|(_, held)| *held);
        if cas != 0 && held.is_some_and(|held| held != cas) {
            return Err(status::CAS_MISMATCH);
        }
        let held = held.unwrap_or(0);
        host.shared_data.insert(key, (value, held + 1));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_register_shared_queue(name: *const u8, size: usize, id: *mut u32) -> u32 {
    call("proxy_register_shared_queue", |host| {
        // SAFETY: the filter's own bytes.
        let name = unsafe { bytes(name, size) };
        let at = host.queues.iter().position(|(held, _)| *held == name).unwrap_or_else(|| {
            host.queues.push((name, VecDeque::new()));
            host.queues.len() - 1
        });
        // SAFETY: the filter's out-pointer.
        unsafe { *id = at as u32 + 1 };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_resolve_shared_queue(
    _vm_id: *const u8,
    _vm_id_size: usize,
    name: *const u8,
    size: usize,
    id: *mut u32,
) -> u32 {
    call("proxy_resolve_shared_queue", |host| {
        // SAFETY: the filter's own bytes and out-pointer.
        unsafe {
            let name = bytes(name, size);
            let at = host.queues.iter().position(|(held, _)| *held == name).ok_or(status::NOT_FOUND)?;
            *id = at as u32 + 1;
        }
        Ok(())
    })
}

fn queue(host: &mut host::Host, id: u32) -> Result<&mut VecDeque<Vec<u8>>, u32> {
    let at = (id as usize).checked_sub(1).ok_or(status::NOT_FOUND)?;
    host.queues.get_mut(at).map(|(_, items)| items).ok_or(status::NOT_FOUND)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    call("proxy_dequeue_shared_queue", |host| {
        let item = queue(host, id)?.pop_front().ok_or(status::EMPTY)?;
        // SAFETY: the filter's out-pointers.
        unsafe { hand_over(&item, data, size) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_enqueue_shared_queue(id: u32, value: *const u8, size: usize) -> u32 {
    call("proxy_enqueue_shared_queue", |host| {
        // SAFETY: the filter's own bytes.
        queue(host, id)?.push_back(unsafe { bytes(value, size) });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout_ms: u32,
    token: *mut u32,
) -> u32 {
    call("proxy_http_call", |host| {
        // SAFETY: the filter's own bytes.
        let (cluster, headers, body) =
            unsafe { (bytes(cluster, cluster_size), bytes(headers, headers_size), bytes(body, body_size)) };
        host.next_token += 1;
        host.call_outs.push(CallOut {
            token: host.next_token,
            context: host.active,
            cluster: String::from_utf8_lossy(&cluster).into_owned(),
            headers: deserialise(&headers),
            body,
            timeout_ms,
        });
        // SAFETY: the filter's out-pointer.
        unsafe { *token = host.next_token };
        Ok(())
    })
}

/// What the harness does not simulate answers UNIMPLEMENTED, as a host without it does.
macro_rules! unimplemented_by_this_host {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $kind),*) -> u32 {
            $(let _ = $argument;)*
            call(stringify!($name), |_| Err(status::UNIMPLEMENTED))
        }
    )*};
}

unimplemented_by_this_host! {
    proxy_grpc_call(a: *const u8, b: usize, c: *const u8, d: usize, e: *const u8, f: usize, g: *const u8, h: usize,
        i: *const u8, j: usize, k: u32, l: *mut u32);
    proxy_grpc_stream(a: *const u8, b: usize, c: *const u8, d: usize, e: *const u8, f: usize, g: *const u8, h: usize,
        i: *mut u32);
    proxy_grpc_send(a: u32, b: *const u8, c: usize, d: bool);
    proxy_grpc_cancel(a: u32);
    proxy_grpc_close(a: u32);
    proxy_get_status(a: *mut u32, b: *mut *mut u8, c: *mut usize);
    proxy_call_foreign_function(a: *const u8, b: usize, c: *const u8, d: usize, e: *mut *mut u8, f: *mut usize);
}
