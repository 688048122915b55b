//! Temporary.
use super::{HeldBody, MessageFilter, Samples, Unreadable};

#[derive(Debug)]
pub enum Filter {
    Messages(Box<MessageFilter>),
    Held { held: HeldBody, bytes: Vec<u8>, fault: Option<Unreadable>, withheld: u32 },
}

#[derive(Debug)]
pub struct Filtered {
    pub filter: Box<Filter>,
    pub holds_head: bool,
    pub max_held: usize,
}

impl Filter {
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) {
        match self {
            Filter::Messages(f) => f.push(chunk, end, out),
            Filter::Held { held, bytes, fault, withheld } => {
                if fault.is_some() {
                    return;
                }
                bytes.extend_from_slice(chunk);
                let done =
                    held.admits(bytes.len()).and_then(|()| if end { held.filter(bytes).map(Some) } else { Ok(None) });
                match done {
                    Ok(Some(f)) => {
                        *withheld = f.withheld;
                        out.extend_from_slice(&f.body);
                    }
                    Ok(None) => {}
                    Err(e) => {
                        *fault = Some(e);
                        out.extend_from_slice(&e.body(bytes.len()));
                    }
                }
            }
        }
    }
    pub fn fault(&self) -> Option<Unreadable> {
        match self {
            Filter::Messages(f) => f.fault(),
            Filter::Held { fault, .. } => *fault,
        }
    }
    pub fn withheld(&self) -> u32 {
        match self {
            Filter::Messages(f) => f.withheld(),
            Filter::Held { withheld, .. } => *withheld,
        }
    }
    pub fn samples(&self) -> Samples {
        match self {
            Filter::Messages(f) => f.samples(),
            Filter::Held { .. } => Samples::default(),
        }
    }
}
