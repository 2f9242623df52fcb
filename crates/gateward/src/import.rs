//! `gateward import`.

use std::fs;
use std::path::Path;

use contract::Contract;
use serde_json::json;

use crate::cli::{Exit, ImportCommand, ImportOpenApiArgs};
use crate::load::Loader;
use crate::terminal;

/// Where an API's upstream is unless somebody says.
const UPSTREAM: &str = "http://127.0.0.1:9001";

/// Writes a piece of a document from what describes an API elsewhere.
pub fn import(command: &ImportCommand) -> Exit {
    let ImportCommand::Openapi(args) = command;
    match openapi(args) {
        Ok(text) => {
            print!("{text}");
            Exit::Done
        }
        Err((exit, why)) => {
            eprintln!("{}", why.trim_end());
            exit
        }
    }
}

/// The API that an OpenAPI document describes, as a document of ours has it; it was compiled, so
/// that what can't be held to is known now.
fn openapi(args: &ImportOpenApiArgs) -> Result<String, (Exit, String)> {
    let loader = Loader::new();
    let refused = |problems: base::Problems| {
        let each = problems.into_iter().map(|problem| match problem.hint {
            Some(hint) => format!("error: {}\n  help: {hint}\n", problem.what),
            None => format!("error: {}\n", problem.what),
        });
        (Exit::Refused, each.collect::<String>())
    };
    let contract = loader.contract(&args.file).map_err(refused)?;
    let text = document(args, &contract);
    // A listener is no part of the API, but of every document.
    let whole = format!("{text}\nlisteners: [{{ name: web, bind: \"127.0.0.1:0\" }}]\n");
    let whole = if args.listener.is_some() { &text } else { &whole };
    loader
        .load_text("imported.yaml", whole)
        .map_err(|report| (Exit::Refused, report.render(terminal::colours_err())))?;
    let Some(output) = &args.output else { return Ok(text) };
    if output.exists() && !args.force {
        let why = format!(
            "error: `{}` is there already\n  help: --force writes over it",
            output.display()
        );
        return Err((Exit::Failed, why));
    }
    match fs::write(output, &text) {
        Ok(()) => Ok(String::new()),
        Err(error) => Err((Exit::Failed, format!("error: `{}`: {error}", output.display()))),
    }
}

/// The document's text.
fn document(args: &ImportOpenApiArgs, contract: &Contract) -> String {
    let server = contract.servers.first().map(String::as_str).unwrap_or_default();
    let (origin, path) = split(server);
    let name = args.name.clone().unwrap_or_else(|| slug(&contract.title));
    let upstream = args.upstream.as_deref().or(origin).unwrap_or(UPSTREAM);
    let path = args.path.as_deref().unwrap_or(&path);
    let file = args.file.display().to_string();
    let mut text = format!(
        "# {} {}: {} operations. Write `match: {{ operation: … }}` in `routes` to give one\n\
         # policies, an upstream or timeouts of its own.\n\
         version: 1\n",
        line(&contract.title),
        line(&contract.version),
        contract.operations.len(),
    );
    if let Some(bind) = &args.listener {
        text += &format!("listeners: [ {{ name: web, bind: {} }} ]\n", json!(bind));
    }
    text += &format!("apis:\n  - name: {}\n", json!(name));
    if !contract.version.is_empty() {
        text += &format!("    version: {}\n", json!(line(&contract.version)));
    }
    text += &format!("    path: {}\n", json!(path));
    if path != "/" {
        text += "    strip_path: false\n";
    }
    if args.upstream.is_none() && origin.is_none() {
        text += "    # The document names no server: put the API's own address here.\n";
    }
    text += &format!("    upstream: {}\n    contract: {}\n", json!(upstream), json!(file));
    text
}

/// Origin and path of a server's URL. What has a variable in it says nothing for sure.
fn split(server: &str) -> (Option<&str>, String) {
    if server.contains(['{', '?', '#']) {
        return (None, "/".into());
    }
    let path = |text: &'_ str| match text.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    // The document's own scheme, which is unknown here.
    if let Some(server) = server.strip_prefix("//") {
        let (_, rest) = server.split_at(server.find('/').unwrap_or(server.len()));
        return (None, path(rest));
    }
    let scheme = ["https://", "http://"].iter().find(|scheme| server.starts_with(**scheme));
    let Some(scheme) = scheme else {
        return (None, if server.starts_with('/') { path(server) } else { "/".into() });
    };
    let end = server[scheme.len()..].find('/').map_or(server.len(), |at| scheme.len() + at);
    let (origin, rest) = server.split_at(end);
    (Some(origin), path(rest))
}

/// A name made of a title: `Swagger Petstore` is `swagger-petstore`.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let made: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let mut made = made.join("-");
    made.truncate(60);
    if made.is_empty() { "api".into() } else { made }
}

/// `text` on one line, as a comment may have it.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect()
}

impl Loader {
    /// What the OpenAPI document at `path` says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn contract(&self, path: &Path) -> Result<Contract, base::Problems> {
        self.with_inputs(|inputs| snapshot::contract(&path.display().to_string(), inputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_tell_where_the_upstream_is() {
        for (server, origin, path) in [
            ("https://api.example.com/v1/", Some("https://api.example.com"), "/v1"),
            ("https://api.example.com", Some("https://api.example.com"), "/"),
            ("http://127.0.0.1:9001/", Some("http://127.0.0.1:9001"), "/"),
            ("//api.example.com/v2", None, "/v2"),
            ("/v2", None, "/v2"),
            ("/", None, "/"),
            ("v2", None, "/"),
            ("", None, "/"),
            ("https://{region}.example.com/v1", None, "/"),
        ] {
            assert_eq!(split(server), (origin, path.to_owned()), "{server}");
        }
    }

    #[test]
    fn titles_become_names() {
        for (title, name) in
            [("Swagger Petstore", "swagger-petstore"), ("…", "api"), ("A/b 2.0", "a-b-2-0")]
        {
            assert_eq!(slug(title), name);
        }
    }
}
