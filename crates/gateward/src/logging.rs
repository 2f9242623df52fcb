//! What the gateway says about itself, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::cli::{LogFormat, LoggingArgs};
use crate::terminal;

/// Starts saying it. The error is a wrong level, for people.
pub fn start(args: &LoggingArgs) -> Result<(), String> {
    let level = if args.quiet { "error" } else { &args.log_level };
    let filter = EnvFilter::builder().parse(level).map_err(|error| {
        format!("`{level}` is not a log level ({error}); write error, warn, info, debug or trace")
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match args.log_format {
        LogFormat::Text => builder.with_ansi(terminal::colours_err()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logging can't start: {error}"))
}
