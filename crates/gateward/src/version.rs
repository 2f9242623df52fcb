//! `gateward version`.

use serde_json::json;

use crate::cli::{Exit, LogFormat, VersionArgs};

/// Prints the version.
pub fn version(args: &VersionArgs) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    match args.format {
        LogFormat::Text => println!("gateward {version}"),
        LogFormat::Json => println!(
            "{}",
            json!({
                "version": version,
                "document": 1,
                "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            })
        ),
    }
    Exit::Done
}
