//! `gateward check`.

use serde_json::json;

use crate::cli::{CheckArgs, Exit, LogFormat};
use crate::load::{Loaded, Loader};
use crate::terminal::{self, GOOD, WARN, paint};

/// Reports everything wrong with a document, or what is in it.
pub fn check(args: &CheckArgs) -> Exit {
    match (Loader::new().load(&args.config), args.format) {
        (Ok(loaded), LogFormat::Text) => {
            accepted(&args.config.display().to_string(), &loaded);
            Exit::Done
        }
        (Ok(loaded), LogFormat::Json) => {
            let warnings: Vec<&str> =
                loaded.snapshot.warnings.iter().map(|warning| warning.what.as_str()).collect();
            println!("{:#}", json!({ "ok": true, "problems": [], "warnings": warnings }));
            Exit::Done
        }
        (Err(report), LogFormat::Text) => {
            eprint!("{}", report.render(terminal::colours_err()));
            Exit::Refused
        }
        (Err(report), LogFormat::Json) => {
            println!("{:#}", json!({ "ok": false, "problems": report.to_json() }));
            Exit::Refused
        }
    }
}

fn accepted(name: &str, loaded: &Loaded) {
    let (snapshot, colours) = (&loaded.snapshot, terminal::colours_out());
    for warning in &snapshot.warnings {
        let hint = warning.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        eprintln!(
            "{} {}: {}{hint}",
            paint("warning:", WARN, terminal::colours_err()),
            warning.at,
            warning.what
        );
    }
    println!(
        "{} {name}: {}, {}, {}",
        paint("ok", GOOD, colours),
        count(snapshot.listeners.len(), "listener"),
        count(snapshot.routes.len(), "route"),
        count(snapshot.upstreams.len(), "upstream"),
    );
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
