//! The exchange's own view of a message: what policies and the engine see, whatever codec it came
//! by.

mod body;
mod headers;
mod known;
mod method;
mod request;
mod response;

pub use body::{Body, BodyError, BodyStream, Frame, Held};
pub use headers::{Headers, Key, Name, is_token, is_value};
pub use known::Known;
pub use method::Method;
pub use request::{Authority, Request, Scheme, Target, Version};
pub use response::{Response, Status};
