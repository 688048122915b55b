//! Envoy's ABI of dynamic modules, as far as it is used here: our own declarations of what `source/extensions/dynamic_modules/abi/abi.h`
//! declares. They hold for ABI v0.1.0 (Envoy 1.39) and v0.2.0 (Envoy 1.40): the functions below are the same in both.
//!
//! Who owns what:
//!
//! - A pointer to one of Envoy's objects is Envoy's. That of a filter is valid from `on_http_filter_new` until `on_http_filter_destroy`
//!   returns, that of a configuration from `on_http_filter_config_new` until `on_http_filter_config_destroy` returns.
//! - What Envoy hands over in a [`Text`] or [`Header`] is Envoy's, and valid until the hook returns or a function changes the same map or body.
//! - What the module hands over is copied by Envoy before the function returns.
//! - What `on_http_filter_new` and `on_http_filter_config_new` return is the module's, which frees it in the `_destroy` hook.
//! - A scheduler is the module's: Envoy makes it, and the module has it deleted.
//!
//! `tests/native.rs` compares the names with those that Envoy exports, and with the hooks that it looks for.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

/// The version of the ABI that the module says it was made for. Envoy compares it with its own, and warns where they differ. What is used
/// here is the same in both versions, so that it is the version of the Envoy that loads the module: v0.2.0 where Envoy has a function that
/// came with it. A later Envoy warns.
pub fn version() -> &'static CStr {
    unsafe extern "C" {
        /// Of the C library.
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: a null pointer asks in all libraries and the program itself (`RTLD_DEFAULT`); the name ends with a NUL.
    let found = unsafe { dlsym(null_mut(), c"envoy_dynamic_module_callback_http_set_filter_state_value".as_ptr()) };
    if found.is_null() { c"v0.1.0" } else { c"v0.2.0" }
}

/// `envoy_dynamic_module_type_envoy_buffer` and `…_module_buffer`: bytes of Envoy's, or of the module's.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    pub ptr: *const u8,
    pub length: usize,
}

/// `envoy_dynamic_module_type_envoy_http_header` and `…_module_http_header`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub key_ptr: *const u8,
    pub key_length: usize,
    pub value_ptr: *const u8,
    pub value_length: usize,
}

/// A filter of Envoy's, a configuration of Envoy's, a scheduler.
pub type Object = *mut c_void;

/// `envoy_dynamic_module_type_http_header_type`: a map of headers.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    RequestHead = 0,
    RequestTrailers = 1,
    AnswerHead = 2,
    AnswerTrailers = 3,
}

/// `envoy_dynamic_module_type_http_body_type`: the part of a body that has come with the running hook, or what was held back before.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    ReceivedRequest = 0,
    HeldRequest = 1,
    ReceivedAnswer = 2,
    HeldAnswer = 3,
}

/// `envoy_dynamic_module_type_attribute_id`, those that are read.
pub mod attribute {
    pub const RESPONSE_CODE: u32 = 15;
    pub const RESPONSE_CODE_DETAILS: u32 = 16;
    pub const SUBJECT_PEER_CERTIFICATE: u32 = 33;
}

/// `envoy_dynamic_module_type_metadata_source_Dynamic`.
pub const DYNAMIC_METADATA: u32 = 0;
/// `envoy_dynamic_module_type_http_callout_init_result_Success`, and `…_callout_result_Success`.
pub const CALL_OUT_SUCCESS: u32 = 0;
/// `envoy_dynamic_module_type_metrics_result_Success`.
pub const METRIC_SUCCESS: u32 = 0;
/// `envoy_dynamic_module_type_http_filter_stream_reset_reason_LocalReset`.
pub const LOCAL_RESET: u32 = 0;

/// What hooks return: `envoy_dynamic_module_type_on_http_filter_{request,response}_{headers,body,trailers}_status`.
pub mod status {
    pub const CONTINUE: u32 = 0;
    /// Of headers and trailers.
    pub const STOP: u32 = 1;
    /// Of headers: neither body nor trailers come before the filter goes on, and Envoy reads no more than its buffer holds.
    pub const STOP_ALL: u32 = 4;
    /// Of a body: what has come is held back.
    pub const HOLD: u32 = 1;
}

unsafe extern "C" {
    pub fn envoy_dynamic_module_callback_log(level: u32, message: Text);

    pub fn envoy_dynamic_module_callback_http_get_headers_size(filter: Object, map: Map) -> usize;
    pub fn envoy_dynamic_module_callback_http_get_headers(filter: Object, map: Map, headers: *mut Header) -> bool;
    pub fn envoy_dynamic_module_callback_http_set_header(filter: Object, map: Map, key: Text, value: Text) -> bool;
    pub fn envoy_dynamic_module_callback_http_add_header(filter: Object, map: Map, key: Text, value: Text) -> bool;

    pub fn envoy_dynamic_module_callback_http_get_body_size(filter: Object, part: Part) -> usize;
    pub fn envoy_dynamic_module_callback_http_get_body_chunks_size(filter: Object, part: Part) -> usize;
    pub fn envoy_dynamic_module_callback_http_get_body_chunks(filter: Object, part: Part, chunks: *mut Text) -> bool;
    pub fn envoy_dynamic_module_callback_http_append_body(filter: Object, part: Part, data: Text) -> bool;
    pub fn envoy_dynamic_module_callback_http_drain_body(filter: Object, part: Part, size: usize) -> bool;

    pub fn envoy_dynamic_module_callback_http_send_response(
        filter: Object,
        status: u32,
        headers: *mut Header,
        headers_size: usize,
        body: Text,
        details: Text,
    );
    pub fn envoy_dynamic_module_callback_http_filter_reset_stream(filter: Object, reason: u32, details: Text);
    pub fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: Object);
    pub fn envoy_dynamic_module_callback_http_clear_route_cache(filter: Object);

    pub fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        filter: Object,
        attribute: u32,
        text: *mut Text,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_filter_get_attribute_int(
        filter: Object,
        attribute: u32,
        number: *mut u64,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_metadata_string(
        filter: Object,
        source: u32,
        namespace: Text,
        key: Text,
        text: *mut Text,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_metadata_list_size(
        filter: Object,
        source: u32,
        namespace: Text,
        key: Text,
        size: *mut usize,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_metadata_list_string(
        filter: Object,
        source: u32,
        namespace: Text,
        key: Text,
        index: usize,
        text: *mut Text,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_metadata_keys_count(
        filter: Object,
        source: u32,
        namespace: Text,
    ) -> usize;
    pub fn envoy_dynamic_module_callback_http_get_metadata_keys(
        filter: Object,
        source: u32,
        namespace: Text,
        keys: *mut Text,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_get_filter_state_bytes(
        filter: Object,
        key: Text,
        text: *mut Text,
    ) -> bool;
    pub fn envoy_dynamic_module_callback_http_set_filter_state_bytes(filter: Object, key: Text, value: Text) -> bool;

    pub fn envoy_dynamic_module_callback_http_filter_http_callout(
        filter: Object,
        id: *mut u64,
        cluster: Text,
        headers: *mut Header,
        headers_size: usize,
        body: Text,
        timeout_milliseconds: u64,
    ) -> u32;

    pub fn envoy_dynamic_module_callback_http_filter_scheduler_new(filter: Object) -> Object;
    pub fn envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler: Object, event: u64);
    pub fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: Object);

    pub fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: Object,
        name: Text,
        labels: *mut Text,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: Object,
        name: Text,
        labels: *mut Text,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_define_histogram(
        config: Object,
        name: Text,
        labels: *mut Text,
        labels_size: usize,
        id: *mut usize,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_increment_counter(
        filter: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        by: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_increment_gauge(
        filter: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        by: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_set_gauge(
        filter: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        value: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_record_histogram_value(
        filter: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        value: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        config: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        by: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_increment_gauge(
        config: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        by: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
        config: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        value: u64,
    ) -> u32;
    pub fn envoy_dynamic_module_callback_http_filter_config_record_histogram_value(
        config: Object,
        id: usize,
        values: *mut Text,
        values_size: usize,
        value: u64,
    ) -> u32;

    pub fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(config: Object) -> Object;
    pub fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler: Object, event: u64);
    pub fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: Object);
}
