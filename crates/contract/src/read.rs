//! From the files of a contract to its operations.

use std::collections::HashMap;

use base::{Pointer, Problem, Problems};
use policy::message::Name;
use serde_json::Value;

use crate::files::Files;
use crate::place::{Found, Place};
use crate::{
    Body, Content, Encoding, In, Media, Operation, Parameter, Response, Shape, Statuses, Style,
};

/// Operations of a contract.
const OPERATIONS_MAX: usize = 20_000;
/// Faults that are told.
const TOLD: usize = 20;
/// Methods that a path may have. `trace` is refused by the gateway before it is routed.
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
/// Header fields that a contract describes elsewhere (OpenAPI 3.1 §4.8.12.2.1).
const ELSEWHERE: &[&str] = &["accept", "content-type", "authorization"];

/// An API's OpenAPI document, read.
#[derive(Debug)]
pub struct Contract {
    /// Its files.
    pub files: Files,
    /// What the API is called.
    pub title: String,
    /// The API's version.
    pub version: String,
    /// Where it says that the API is.
    pub servers: Vec<String>,
    /// Its operations, in the order of the document.
    pub operations: Vec<Operation>,
}

impl Contract {
    /// What `files` say, the first of which is named at `at` of a document.
    ///
    /// # Errors
    /// What is wrong with them, each with its place.
    pub fn read(files: Files, at: &Pointer) -> Result<Self, Problems> {
        let mut reader = Reader { files: &files, wrong: Vec::new() };
        let root = files.root().filter(|root| root.value.is_object());
        let operations = match &root {
            Some(root) if reader.version(root) => reader.operations(root),
            Some(_) => Vec::new(),
            None => {
                reader.wrong(&Place::default(), "this is no OpenAPI document, but another value");
                Vec::new()
            }
        };
        let wrong = std::mem::take(&mut reader.wrong);
        if !wrong.is_empty() {
            return Err(problems(&files, wrong, at));
        }
        let info = |key: &str| {
            let info = root.as_ref().and_then(|root| root.get("info"));
            info.and_then(|info| info.text(key)).unwrap_or_default().to_owned()
        };
        let servers = root.as_ref().map(servers).unwrap_or_default();
        let (title, version) = (info("title"), info("version"));
        Ok(Self { title, version, servers, operations, files })
    }
}

/// Problems that say where in which file something is wrong.
pub(crate) fn problems(files: &Files, wrong: Vec<(Place, String)>, at: &Pointer) -> Problems {
    let more = wrong.len().saturating_sub(TOLD);
    let told = wrong.into_iter().take(TOLD).map(|(place, what)| {
        let file = files.name(place.file);
        Problem::new(at, format!("at `{place}` of `{file}`: {what}"))
            .hint("correct it in that file; https://spec.openapis.org says what may stand there")
    });
    let rest = (more > 0).then(|| Problem::new(at, format!("and {more} more like these")));
    told.chain(rest).collect()
}

/// The URLs of the servers; of 2.0 the path alone where it names no host.
fn servers(root: &Found<'_>) -> Vec<String> {
    if let Some(base) = root.text("basePath").filter(|_| root.text("swagger").is_some()) {
        let host = root.text("host").map(|host| format!("https://{host}")).unwrap_or_default();
        return vec![format!("{host}{base}")];
    }
    let list = root.get("servers").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    list.filter_map(|server| server.text("url").map(str::to_owned)).collect()
}

/// Reads, and collects what is wrong.
struct Reader<'f> {
    files: &'f Files,
    wrong: Vec<(Place, String)>,
}

impl<'f> Reader<'f> {
    fn wrong(&mut self, place: &Place, what: impl Into<String>) {
        self.wrong.push((place.clone(), what.into()));
    }

    /// Whether it is of a version that is read here.
    fn version(&mut self, root: &Found<'f>) -> bool {
        let text = |key: &str| {
            let value = root.value.get(key)?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let (new, old) = (text("openapi"), text("swagger"));
        let good = match (&new, &old) {
            (Some(new), None) => new.starts_with("3.0") || new.starts_with("3.1"),
            (None, Some(old)) => old == "2.0",
            _ => false,
        };
        if !good {
            let what = match new.or(old) {
                Some(version) => {
                    format!("version `{version}` is not read here, but 3.1, 3.0 and 2.0")
                }
                None => {
                    "there is neither `openapi` nor `swagger`, one of which says the version".into()
                }
            };
            self.wrong(&root.place, what);
        }
        good
    }

    /// What `found` is or refers to; what is wrong is noted.
    fn follow(&mut self, found: Found<'f>) -> Option<Found<'f>> {
        let place = found.place.clone();
        match self.files.follow(found) {
            Ok(found) => Some(found),
            Err(what) => {
                self.wrong(&place, what);
                None
            }
        }
    }

    fn operations(&mut self, root: &Found<'f>) -> Vec<Operation> {
        let mut operations = Vec::new();
        let Some(paths) = root.get("paths") else {
            self.wrong(&root.place, "there are no `paths`");
            return operations;
        };
        for (path, item) in paths.members().filter(|(path, _)| path.starts_with('/')) {
            let Some(item) = self.follow(item) else { continue };
            let shared = self.parameters(&item);
            for (method, operation) in item.members() {
                if !METHODS.contains(&method) {
                    continue;
                }
                if operations.len() == OPERATIONS_MAX {
                    let what = format!("there are more than {OPERATIONS_MAX} operations");
                    self.wrong(&operation.place, what);
                    return operations;
                }
                operations.push(self.operation(method, path, &operation, &shared));
            }
        }
        self.once(&operations);
        operations
    }

    /// Says which ids stand twice.
    fn once(&mut self, operations: &[Operation]) {
        let mut ids: HashMap<&str, &Place> = HashMap::new();
        for operation in operations {
            let Some(id) = &operation.id else { continue };
            if let Some(first) = ids.insert(id, &operation.place) {
                let what = format!("the `operationId` `{id}` is that of `{first}` too");
                self.wrong(&operation.place.key("operationId"), what);
            }
        }
    }

    fn operation(
        &mut self,
        method: &str,
        path: &str,
        found: &Found<'f>,
        shared: &[Parameter],
    ) -> Operation {
        let own = self.parameters(found);
        let inherited = shared
            .iter()
            .filter(|one| !own.iter().any(|own| own.place == one.place && own.name == one.name));
        let parameters: Vec<Parameter> = inherited.cloned().chain(own.iter().cloned()).collect();
        for one in parameters.iter().filter(|one| one.place == In::Path) {
            if !path.contains(&format!("{{{}}}", one.name)) {
                let what = format!("the path `{path}` has no `{{{}}}`", one.name);
                self.wrong(&found.place, what);
            }
        }
        let body = found.get("requestBody").and_then(|body| self.follow(body));
        let body = body
            .map(|body| Body { required: body.flag("required"), contents: self.contents(&body) });
        Operation {
            id: found.text("operationId").map(str::to_owned),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            place: found.place.clone(),
            parameters,
            body,
            responses: self.responses(found),
        }
    }

    fn parameters(&mut self, of: &Found<'f>) -> Vec<Parameter> {
        let list: Vec<_> = of.get("parameters").iter().flat_map(Found::items).collect();
        list.into_iter().filter_map(|one| self.parameter(one)).collect()
    }

    fn parameter(&mut self, found: Found<'f>) -> Option<Parameter> {
        let found = self.follow(found)?;
        let (place, name) = (found.text("in").and_then(In::of), found.text("name"));
        let (Some(place), Some(name)) = (place, name) else {
            self.wrong(
                &found.place,
                "a parameter has a `name`, and `in`: path, query, header or cookie",
            );
            return None;
        };
        if place == In::Header && ELSEWHERE.contains(&name.to_ascii_lowercase().as_str()) {
            return None;
        }
        Some(self.valued(&found, place, name))
    }

    /// A parameter or a response's header field, by what stands in `found` of its value.
    fn valued(&mut self, found: &Found<'f>, place: In, name: &str) -> Parameter {
        let content = found.get("content").and_then(|content| content.members().next());
        let (schema, json) = match content {
            Some((media, content)) => (content.get("schema"), Some(Media::of(media).is_json())),
            None => (found.get("schema"), None),
        };
        let style = match (json, found.text("style")) {
            (Some(true), _) => Style::Json,
            (_, word) => self.style(&found.place, word, place),
        };
        let explode = found.value.get("explode").and_then(Value::as_bool);
        let field = Name::new(name).filter(|_| place == In::Header);
        if place == In::Header && field.is_none() {
            self.wrong(&found.place, format!("`{name}` is no name of a header field"));
        }
        // What is written in another format than JSON is not read.
        let schema = schema.filter(|_| json != Some(false));
        Parameter {
            place,
            name: name.to_owned(),
            field,
            required: place == In::Path || found.flag("required"),
            empty: found.flag("allowEmptyValue"),
            style,
            explode: explode.unwrap_or(style == Style::Form),
            shape: schema.as_ref().map(|it| Shape::of(self.files, it)).unwrap_or_default(),
            schema: schema.map(|schema| schema.place),
        }
    }

    fn style(&mut self, at: &Place, word: Option<&str>, place: In) -> Style {
        match word {
            Some("simple") => Style::Simple,
            Some("label") => Style::Label,
            Some("matrix") => Style::Matrix,
            Some("form") => Style::Form,
            Some("spaceDelimited") => Style::Space,
            Some("tabDelimited") => Style::Tab,
            Some("pipeDelimited") => Style::Pipe,
            Some("deepObject") => Style::Deep,
            None if matches!(place, In::Path | In::Header) => Style::Simple,
            None => Style::Form,
            Some(word) => {
                self.wrong(&at.key("style"), format!("`{word}` is no style"));
                Style::Form
            }
        }
    }

    fn contents(&mut self, of: &Found<'f>) -> Vec<Content> {
        let Some(content) = of.get("content") else { return Vec::new() };
        let mut contents = Vec::new();
        for (media, found) in content.members() {
            let media = Media::of(media);
            let schema = found.get("schema");
            // Only the text of forms has to be read by what is asked for.
            let shape = schema.as_ref().filter(|_| media.is_form());
            let shape = shape.map(|schema| Shape::of(self.files, schema)).unwrap_or_default();
            let encodings = if media.is_form() { self.encodings(&found) } else { Vec::new() };
            let schema = schema.map(|schema| schema.place);
            contents.push(Content { media, schema, shape, encodings });
        }
        contents
    }

    fn encodings(&mut self, of: &Found<'f>) -> Vec<Encoding> {
        let mut encodings = Vec::new();
        for (name, found) in of.get("encoding").iter().flat_map(Found::members) {
            let explode = found.value.get("explode").and_then(Value::as_bool);
            let style = self.style(&found.place, found.text("style"), In::Query);
            let explode = explode.unwrap_or(style == Style::Form);
            encodings.push(Encoding { name: name.to_owned(), style, explode });
        }
        encodings
    }

    fn responses(&mut self, of: &Found<'f>) -> Vec<Response> {
        let Some(list) = of.get("responses") else { return Vec::new() };
        let mut responses = Vec::new();
        for (key, found) in list.members().filter(|(key, _)| !key.starts_with("x-")) {
            let Some(statuses) = Statuses::of(key) else {
                let what = format!("`{key}` is no status: one is `200`, `4XX` or `default`");
                self.wrong(&found.place, what);
                continue;
            };
            let Some(found) = self.follow(found) else { continue };
            let mut headers = Vec::new();
            for (name, header) in found.get("headers").iter().flat_map(Found::members) {
                if name.eq_ignore_ascii_case("content-type") {
                    continue;
                }
                let Some(header) = self.follow(header) else { continue };
                headers.push(self.valued(&header, In::Header, name));
            }
            responses.push(Response { statuses, contents: self.contents(&found), headers });
        }
        responses
    }
}
