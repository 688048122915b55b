//! The root context: one for each worker and configuration. Reads the configuration and makes the streams.

use super::calls::{self, Buffer, Level};
use super::dispatch::RootContext;
use super::leases;
use super::stream::Stream;
use super::trail::Lines;
use super::{reloads, stats};
use crate::config::Config;
use crate::memo::Memo;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Says which version runs, once for each worker and configuration.
const ACCEPTED: &str = concat!("promql-tenancy-filter ", env!("CARGO_PKG_VERSION"), ": configuration accepted");

/// What the streams of one configuration share.
#[derive(Default)]
pub struct Root {
    /// `None` until a configuration was accepted; a stream without one refuses.
    config: Option<Arc<Config>>,
    /// What bounds the log.
    lines: Rc<Lines>,
    /// What was rewritten lately, under this configuration.
    memo: Rc<RefCell<Memo>>,
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match read_config(size) {
            Ok((config, json)) => {
                // Without it, stats come late, and requests are served all the same.
                let _status = calls::set_tick_period(stats::TICK_MILLISECONDS);
                reloads::accepted(&config, &json);
                self.config = Some(Arc::new(config));
                self.memo = Rc::default();
                calls::log(Level::Info, ACCEPTED);
                true
            }
            Err(reason) => {
                calls::log(Level::Error, &format!("configuration refused: {reason}"));
                reloads::refused();
                false
            }
        }
    }

    fn create_stream(&self, _id: u32) -> Stream {
        Stream::new(self.config.clone(), self.lines.clone(), self.memo.clone())
    }

    fn on_tick(&mut self) {
        stats::tick();
        leases::renew();
    }
}

/// The configuration, and what it was read from.
fn read_config(size: usize) -> Result<(Config, Vec<u8>), String> {
    // Without a configuration, Envoy has no buffer to read: asking for it would be an error.
    let json = match size {
        0 => Vec::new(),
        _ => calls::buffer(Buffer::PluginConfiguration).map_err(|error| error.to_string())?,
    };
    let config = Config::parse(&json).map_err(|error| one_line(&error.to_string()))?;
    Ok((config, json))
}

/// A key may hold anything that JSON can write.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    line
}
