//! Keys that somebody else publishes: fetched by discovery or from where they are, kept, renewed
//! beside the requests, and asked for again when a token names one that is not known. Knows no
//! socket: `policy::Remote` does.

mod fetch;
mod state;

pub(crate) use fetch::Place;
pub(crate) use state::{Held, Published, Times};

#[cfg(test)]
mod tests;
