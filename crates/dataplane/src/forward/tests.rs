//! What the tests of this folder share.

use std::time::Duration;

use snapshot::Retry;

/// The default retries.
pub(super) fn retry() -> Retry {
    Retry {
        attempts: 1,
        causes: Vec::new(),
        per_try: None,
        backoff: Duration::ZERO,
        backoff_max: Duration::ZERO,
        body: 64 << 10,
        budget_percent: 20,
        budget_floor: 10,
    }
}
