//! An API's contract: an OpenAPI document (3.0, 3.1, or 2.0, which was called Swagger), read into
//! what a gateway needs of it.
//!
//! [`Contract::read`] gives the operations, with their parameters, bodies and responses, whatever
//! the version; [`Contract::schema`] one JSON Schema (2020-12) for every value they take or give.
//! References are followed within the document and into files beside it; nothing is ever fetched.
//! Pure: files come from [`policy::World`].

mod files;
mod media;
mod operation;
mod place;
mod read;
mod schema;
mod shape;
mod swagger;

pub use files::Files;
pub use media::Media;
pub use operation::{Body, Content, Encoding, In, Operation, Parameter, Response, Statuses, Style};
pub use place::Place;
pub use read::Contract;
pub use schema::{Direction, Origins};
pub use shape::{Shape, Types};
