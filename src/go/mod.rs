//! What Go's own libraries read and write, exactly as they do: forms, numbers, times, durations.

pub mod form;
pub mod time;
