//! What a policy's hook answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::Refusal;
use crate::message::Response;

/// What a hook returns: done at once, or something to wait for. Only what really waits allocates.
pub enum Step<'a> {
    /// Done.
    Done(Flow),
    /// Done when the future is. It may be dropped half-way, when the caller goes.
    Wait(Pin<Box<dyn Future<Output = Flow> + 'a>>),
}

/// What happens next.
#[derive(Debug)]
pub enum Flow {
    /// The next policy runs.
    Continue,
    /// This is the answer; the upstream is not asked. Policies that already ran see it on its way
    /// back.
    Reply(Box<Response>),
    /// The request ends here.
    Refuse(Box<Refusal>),
}

impl Step<'_> {
    /// The next policy runs.
    pub const fn next() -> Self {
        Self::Done(Flow::Continue)
    }

    /// The request ends here.
    pub fn refuse(refusal: Refusal) -> Self {
        Self::Done(Flow::Refuse(Box::new(refusal)))
    }

    /// This is the answer.
    pub fn reply(response: Response) -> Self {
        Self::Done(Flow::Reply(Box::new(response)))
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(flow) => write!(f, "Done({flow:?})"),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}
