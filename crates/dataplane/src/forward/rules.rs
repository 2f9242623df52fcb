//! What may be tried again, and when.
//!
//! A request of which nothing was sent may be sent again whatever it is, and so may one whose
//! endpoint says that it did nothing. Otherwise only idempotent methods, since nobody knows what
//! the endpoint did. In any case the whole body must be at hand, and nothing of a response passed
//! on (none is before a try is decided to be the last).

use std::time::Duration;

use config::v1::RetryOn;
use fastrand::Rng;
use policy::message::{Headers, Known, Method};
use snapshot::Retry;

/// The longest `Retry-After` that is waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// How a try ended that may be followed by another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How.
    pub kind: RetryOn,
    /// The request's method.
    pub method: Method,
    /// Whether any byte of the request may have reached the endpoint.
    pub sent: bool,
    /// Whether the whole body is at hand.
    pub whole: bool,
}

impl Ended {
    /// Whether sending it again can do no harm.
    pub fn is_safe(&self) -> bool {
        self.whole && (!self.sent || self.method.is_idempotent())
    }

    /// Whether the settings and the method allow another try.
    pub fn may_retry(&self, retry: &Retry) -> bool {
        retry.causes.contains(&self.kind) && self.is_safe()
    }
}

/// What a status is to the retry rules; none for an answer to pass on.
pub(crate) fn kind(status: u16, retry: &Retry) -> Option<RetryOn> {
    let kind = match status {
        502..=504 if retry.causes.contains(&RetryOn::GatewayError) => RetryOn::GatewayError,
        500..=599 => RetryOn::ServerError,
        _ => return None,
    };
    retry.causes.contains(&kind).then_some(kind)
}

/// How long to wait before the `n`-th further try, from 1: full jitter, so that clients that failed
/// together do not come again together.
pub(crate) fn backoff(retry: &Retry, n: u32, rng: &mut Rng) -> Duration {
    let doubled = retry.backoff.saturating_mul(1 << n.saturating_sub(1).min(16));
    let most = doubled.min(retry.backoff_max).as_nanos();
    Duration::from_nanos(rng.u64(..=u64::try_from(most).unwrap_or(u64::MAX)))
}

/// How long the endpoint asks to wait: none where it asks for nothing, an error where it asks for
/// more than is waited for or for something unreadable.
pub(crate) fn retry_after(response: &Headers, wall: Duration) -> Result<Option<Duration>, ()> {
    let Some(value) = response.get(Known::RetryAfter) else { return Ok(None) };
    let text = std::str::from_utf8(value).map_err(|_| ())?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).map_err(|_| ())?;
            let date = date.duration_since(std::time::UNIX_EPOCH).map_err(|_| ())?;
            date.saturating_sub(wall)
        }
    };
    if wait <= RETRY_AFTER_MAX { Ok(Some(wait)) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::tests::retry;

    #[test]
    fn what_was_sent_is_sent_again_only_if_it_is_idempotent() {
        let on = [RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Refused];
        let retry = Retry { causes: on.to_vec(), ..retry() };
        let other = Method::new(b"PURGE").unwrap();
        for (kind, method, sent, whole, expected) in [
            (RetryOn::ConnectFailure, Method::Post, false, true, true),
            (RetryOn::ConnectFailure, Method::Post, false, false, false),
            (RetryOn::Reset, Method::Post, false, true, true),
            (RetryOn::Reset, Method::Post, true, true, false),
            (RetryOn::Reset, Method::Patch, true, true, false),
            (RetryOn::Reset, other, true, true, false),
            (RetryOn::Reset, Method::Get, true, true, true),
            (RetryOn::Reset, Method::Put, true, true, true),
            (RetryOn::Reset, Method::Put, true, false, false),
            (RetryOn::Refused, Method::Post, false, true, true),
            (RetryOn::Timeout, Method::Get, true, true, false),
        ] {
            let ended = Ended { kind, method, sent, whole };
            assert_eq!(ended.may_retry(&retry), expected, "{ended:?}");
        }
    }

    #[test]
    fn statuses_are_tried_again_where_the_settings_say_so() {
        use RetryOn::{GatewayError, ServerError};
        for (on, status, expected) in [
            (&[GatewayError][..], 503, Some(GatewayError)),
            (&[GatewayError], 500, None),
            (&[ServerError], 503, Some(ServerError)),
            (&[ServerError], 500, Some(ServerError)),
            (&[GatewayError, ServerError], 502, Some(GatewayError)),
            (&[ServerError], 404, None),
            (&[], 503, None),
        ] {
            let retry = Retry { causes: on.to_vec(), ..retry() };
            assert_eq!(kind(status, &retry), expected, "{on:?} {status}");
        }
    }

    #[test]
    fn back_off_doubles_up_to_its_bound_and_is_spread_over_all_of_it() {
        let retry = Retry {
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            ..retry()
        };
        let mut rng = Rng::with_seed(7);
        for (n, most) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (40, 250)] {
            let most = Duration::from_millis(most);
            let waits: Vec<_> = (0..2_000).map(|_| backoff(&retry, n, &mut rng)).collect();
            assert!(waits.iter().all(|wait| *wait <= most));
            assert!(waits.iter().any(|wait| *wait < most / 10), "{n}: none is short");
            assert!(waits.iter().any(|wait| *wait > most * 9 / 10), "{n}: none is long");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_second() {
        let wall = Duration::from_secs(784_111_777);
        for (value, expected) in [
            (None, Ok(None)),
            (Some("0"), Ok(Some(Duration::ZERO))),
            (Some("1"), Ok(Some(Duration::from_secs(1)))),
            (Some("120"), Err(())),
            (Some("soon"), Err(())),
            (Some("-1"), Err(())),
            (Some("Sun, 06 Nov 1994 08:49:38 GMT"), Ok(Some(Duration::from_secs(1)))),
            (Some("Sun, 06 Nov 1994 08:50:38 GMT"), Err(())),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), Ok(Some(Duration::ZERO))),
        ] {
            let mut headers = Headers::new();
            if let Some(value) = value {
                headers.append("retry-after", value);
            }
            assert_eq!(retry_after(&headers, wall), expected, "{value:?}");
        }
    }
}
