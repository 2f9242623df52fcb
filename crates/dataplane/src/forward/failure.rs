//! How a try can fail: what it means for the caller, for the endpoint, and for another try.

use config::v1::RetryOn;
use policy::{Code, Refusal, codes};

use super::timing::Timer;
use crate::codec::{SendError, SendFault};

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the caller is told, should it be the last.
    pub code: &'static Code,
    /// What may be tried again by the retry rules; none for what never is.
    pub kind: Option<RetryOn>,
    /// Whether any byte of the request may have reached the endpoint.
    pub sent: bool,
    /// Whether it is the endpoint's fault.
    pub endpoint: bool,
    /// More, for operators.
    pub note: Box<str>,
}

impl Failure {
    /// The endpoint failed with nothing sent to it.
    pub fn unsent(code: &'static Code, note: impl Into<Box<str>>) -> Self {
        let kind = Some(RetryOn::ConnectFailure);
        Self { code, kind, sent: false, endpoint: true, note: note.into() }
    }

    /// There is too much already; nobody's fault.
    pub fn overloaded(note: impl Into<Box<str>>) -> Self {
        let code = &codes::UPSTREAM_OVERLOADED;
        Self { code, kind: None, sent: false, endpoint: false, note: note.into() }
    }

    /// A timer fired before there was a response; `blameless`: not by the endpoint's fault.
    pub fn late(timer: Timer, blameless: bool, note: impl Into<Box<str>>) -> Self {
        // Once the time of the whole exchange is over, another try would come too late.
        let kind = (timer != Timer::Total).then_some(RetryOn::Timeout);
        Self { code: timer.code(), kind, sent: true, endpoint: !blameless, note: note.into() }
    }

    /// The time of the whole exchange is over with nothing sent.
    pub fn out_of_time(note: impl Into<Box<str>>) -> Self {
        let code = &codes::TOTAL_TIMEOUT;
        Self { code, kind: None, sent: false, endpoint: false, note: note.into() }
    }

    /// The refusal it makes.
    pub fn refusal(self) -> Refusal {
        Refusal::new(self.code).note(self.note)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let SendError { kind, sent, note } = error;
        let (code, kind, endpoint) = match kind {
            SendFault::Reset => (&codes::UPSTREAM_RESET, Some(RetryOn::Reset), true),
            SendFault::Refused => (&codes::UPSTREAM_RESET, Some(RetryOn::Refused), false),
            SendFault::Malformed => (&codes::UPSTREAM_MALFORMED, None, true),
            SendFault::Body(error) => (error.code(), None, false),
        };
        // Refused is the endpoint's word that nothing was done.
        let sent = sent && kind != Some(RetryOn::Refused);
        Self { code, kind, sent, endpoint, note }
    }
}
