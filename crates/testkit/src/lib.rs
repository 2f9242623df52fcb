//! For tests only: cases, run over the real engine with an in-memory client, a fake upstream and a
//! clock that is moved by hand.
//!
//! A case is data: a piece of a document, requests, and what is expected of the answer, of what the
//! upstream sees and of the access log. [`case`] says how one is written; [`run_cases`] runs all of
//! a folder.

pub mod attack;
pub mod case;
mod gateway;
mod message;
pub mod port;
mod run;
mod servers;
mod upstream;
mod world;

pub use run::run_cases;
pub use servers::Servers;
pub use world::World;
