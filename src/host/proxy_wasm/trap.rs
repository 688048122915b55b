//! A trap on request, to test how Envoy heals (`failure_policy: FAIL_RELOAD`). Only with the feature `trap`, which no
//! shipped module has.

use super::pairs::Pair;

/// The request header that asks for it.
const HEADER: &[u8] = b"x-tenancy-test-trap";

/// Kills the VM where the request asks for it.
pub fn trap_when_asked(headers: &[Pair<'_>]) {
    if headers.iter().any(|(name, _)| *name == HEADER) {
        std::process::abort();
    }
}
