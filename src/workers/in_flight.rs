//! Requests in flight, over all workers, some of which may have died.
//!
//! A worker's VM that traps takes its streams with it, and never says that they ended: a gauge that each worker moves up
//! and down would be wrong from then on. So each VM writes down what it has in flight, with the time, where all can read
//! it, once a second; whoever does so sums up what the others wrote, and leaves out what is too old.
//!
//! ```text
//! all   = *vm
//! vm    = number:u32 time:u64 count:u32 entry{count}      all little endian; the time in nanoseconds
//! entry = size:u32 name{size} in_flight:u32
//! ```

/// A VM that has written nothing for so many nanoseconds is dead.
pub const DEAD_AFTER: u64 = 5_000_000_000;

/// One series' requests in flight.
pub type Entry<'a> = (&'a str, u32);

/// One VM's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm<'a> {
    /// Which VM.
    pub number: u32,
    /// When it wrote this.
    pub time: u64,
    /// What it has in flight.
    pub entries: Vec<Entry<'a>>,
}

/// Reads what all have written. What makes no sense ends it.
pub fn read(mut bytes: &[u8]) -> Vec<Vm<'_>> {
    let mut vms = Vec::new();
    while let Some(vm) = take_vm(&mut bytes) {
        vms.push(vm);
    }
    vms
}

/// Replaces what the VM itself wrote last, and leaves the dead out.
pub fn replace<'a>(vms: &mut Vec<Vm<'a>>, own: Vm<'a>) {
    // A clock that was set back must not keep the dead alive.
    vms.retain(|vm| vm.number != own.number && own.time.abs_diff(vm.time) < DEAD_AFTER);
    if !own.entries.is_empty() {
        vms.push(own);
    }
}

/// Writes it.
pub fn write(vms: &[Vm<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for vm in vms {
        out.extend_from_slice(&vm.number.to_le_bytes());
        out.extend_from_slice(&vm.time.to_le_bytes());
        out.extend_from_slice(&size(vm.entries.len()));
        for (name, in_flight) in &vm.entries {
            out.extend_from_slice(&size(name.len()));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&in_flight.to_le_bytes());
        }
    }
    out
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take_vm<'a>(bytes: &mut &'a [u8]) -> Option<Vm<'a>> {
    let number = take_u32(bytes)?;
    let (time, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    let mut vm = Vm { number, time: u64::from_le_bytes(*time), entries: Vec::new() };
    for _ in 0..take_u32(bytes)? {
        let length = usize::try_from(take_u32(bytes)?).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        vm.entries.push((std::str::from_utf8(name).ok()?, take_u32(bytes)?));
    }
    Some(vm)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn vm(number: u32, time: u64, entries: &[Entry<'static>]) -> Vm<'static> {
        Vm { number, time, entries: entries.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let vms = [vm(1, 7, &[("a", 1), (";tenant=é;", u32::MAX)]), vm(2, u64::MAX, &[])];
        assert_eq!(read(&write(&vms)), vms);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn bytes_that_make_no_sense_end_it() {
        let vms = [vm(1, 7, &[("a", 1)]), vm(2, 8, &[("b", 2)])];
        let whole = write(&vms);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).len() < 2, "{length}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            read(&bytes);
        }
    }

    #[test]
    fn the_dead_are_left_out_and_the_living_stay() {
        let now = 100 * DEAD_AFTER;
        let mut vms = vec![
            vm(1, now - DEAD_AFTER, &[("a", 1)]),
            vm(2, now - DEAD_AFTER + 1, &[("a", 2)]),
            vm(3, now - 1, &[("a", 4)]),
            vm(4, now + DEAD_AFTER, &[("a", 8)]),
        ];
        replace(&mut vms, vm(3, now, &[("a", 16), ("b", 1)]));
        assert_eq!(vms, [vm(2, now - DEAD_AFTER + 1, &[("a", 2)]), vm(3, now, &[("a", 16), ("b", 1)])]);
        replace(&mut vms, vm(3, now, &[]));
        assert_eq!(vms.len(), 1);
    }
}
