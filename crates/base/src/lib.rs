//! What std lacks: ids, clock, secrets, sizes, durations, problems. Knows no word of the domain.

mod clock;
mod duration;
mod id;
mod moment;
mod percent;
mod problem;
mod secret;
mod size;
mod suggest;

pub use clock::{Clock, Instant};
pub use duration::Span;
pub use id::{RequestId, SpanId, TraceId};
pub use moment::Moment;
pub use percent::{form_decoded, percent_decoded};
pub use problem::{Pointer, Problem, Problems};
pub use secret::Secret;
pub use size::ByteSize;
pub use suggest::closest;
