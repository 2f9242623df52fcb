//! `gateward schema`.

use crate::cli::Exit;
use crate::load;

/// Prints the JSON Schema of documents, policies included.
pub fn schema() -> Exit {
    println!("{:#}", load::schema().to_json());
    Exit::Done
}
