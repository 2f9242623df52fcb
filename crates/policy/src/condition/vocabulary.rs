//! What a condition can ask for.

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// Texts by name.
    Map,
    /// Values of any kind by name.
    Values,
    /// Texts in order.
    List,
    /// True or false.
    Bool,
    /// Only known when it is evaluated.
    Unknown,
    /// Something that is none of these.
    Other,
}

impl Kind {
    /// It, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Map | Self::Values => "a map",
            Self::List => "a list",
            Self::Bool => "true or false",
            Self::Unknown | Self::Other => "something else",
        }
    }
}

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name: what it belongs to, a dot, and its own.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be `null`; then `has()` asks.
    pub nullable: bool,
    /// What it means.
    pub about: &'static str,
    /// Which one it is.
    pub(super) fact: Fact,
}

macro_rules! variables {
    ($($fact:ident = $name:literal, $kind:ident $(or $null:ident)?, $about:literal;)*) => {
        /// Where a variable's value comes from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Fact { $($fact,)* }

        /// All variables.
        pub static VARIABLES: &[Variable] = &[$(Variable {
            name: $name,
            kind: Kind::$kind,
            nullable: variables!(@null $($null)?),
            about: $about,
            fact: Fact::$fact,
        },)*];
    };
    (@null null) => { true };
    (@null) => { false };
}

variables! {
    Method = "request.method", Text, "The method, as in `GET`.";
    Scheme = "request.scheme", Text, "`http` or `https`.";
    Host = "request.host", Text,
        "The host asked for, in lower case, without port; empty where there was none.";
    Path = "request.path", Text, "The path, normalised, as the caller sent it.";
    Query = "request.query", Map,
        "Query parameters by name, decoded; values of a repeated name joined by commas.";
    Headers = "request.headers", Map,
        "Header fields by name in lower case; values of a repeated name joined by commas. A condition \
         also holds if it does with one of them alone.";
    Version = "request.version", Text, "The version of HTTP: `1.0`, `1.1` or `2`.";
    Size = "request.size", Number or null, "Bytes of the body, where known before it is read.";
    Address = "client.address", Text, "The client's address, as in `192.0.2.7` or `2001:db8::7`.";
    Application = "caller.application", Text or null,
        "The application's name; null before or without authentication.";
    Organization = "caller.organization", Text or null,
        "The organization the application belongs to.";
    Credential = "caller.credential", Text or null, "The id of the credential it used.";
    Labels = "caller.labels", Map, "The application's labels; empty without authentication.";
    CallerName = "caller.name", Text or null,
        "Who calls: the subject, or else the application's name.";
    CallerSubject = "caller.subject", Text or null,
        "Whom the credential speaks of: a token's `sub`, a user's name, a certificate's subject.";
    CallerIssuer = "caller.issuer", Text or null, "Who issued the credential: a token's `iss`.";
    CallerScopes = "caller.scopes", List,
        "What the credential may be used for; empty without authentication.";
    CallerGroups = "caller.groups", List,
        "Groups and roles of the application and of the credential; empty without authentication.";
    CallerClaims = "caller.claims", Values,
        "All the credential says, as in `caller.claims.department`; to ask for what is not there is \
         an error, unless has() asks.";
    CallerBy = "caller.by", Text or null, "The policy that said who calls, as in `api_key`.";
    Api = "route.api", Text or null, "The API's name; null where no route matches.";
    ApiVersion = "route.version", Text or null, "The API's version.";
    Route = "route.name", Text or null, "The route's name.";
    Params = "route.params", Map, "The parameters of the route's path.";
    Listener = "connection.listener", Text, "The listener's name.";
    Tls = "connection.tls", Text or null, "The TLS version, `1.2` or `1.3`; null without TLS.";
    ServerName = "connection.server_name", Text or null,
        "The name the client asked for in TLS (SNI).";
    Subject = "connection.certificate_subject", Text or null,
        "Subject of the client's verified certificate (RFC 4514).";
    Names = "connection.certificate_names", List,
        "Names and addresses the client's verified certificate is for.";
    Status = "response.status", Number, "The response's status; only where there is a response.";
    ResponseHeaders = "response.headers", Map,
        "The response's header fields; only where there is a response.";
}

/// The functions there are, with what they do.
pub static FUNCTIONS: &[(&str, &str)] = &[
    ("size", "the length of a text, list or map"),
    ("startsWith", "whether a text starts with another"),
    ("endsWith", "whether a text ends with another"),
    ("contains", "whether a text contains another"),
    ("matches", "whether a regular expression, written as a literal, is found in a text"),
    ("lowerAscii", "a text with ASCII letters in lower case"),
    ("upperAscii", "a text with ASCII letters in upper case"),
    ("has", "whether a map has a name, or a variable is not null"),
    ("all", "whether something holds for all elements"),
    ("exists", "whether something holds for an element"),
    ("exists_one", "whether something holds for exactly one element"),
    ("map", "a list of what becomes of each element"),
    ("filter", "a list of the elements for which something holds"),
    ("int", "a whole number from a text or number"),
    ("uint", "a whole number without sign from a text or number"),
    ("double", "a number from a text or number"),
    ("string", "a text from a number or bool"),
    ("bytes", "the bytes of a text"),
    ("bool", "true or false from a text"),
    ("type", "the type of a value"),
    ("dyn", "the value itself"),
];

/// Words that stand for types.
pub(super) const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// The variable `name` of `root`.
pub(super) fn variable(root: &str, name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|known| {
        known.name.split_once('.').is_some_and(|(of, field)| of == root && field == name)
    })
}

/// The fields of `root`; none if there is no such root.
pub(super) fn fields(root: &str) -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .filter_map(|known| known.name.split_once('.'))
        .filter(move |(of, _)| *of == root)
        .map(|(_, field)| field)
}

/// Whether variables stand under `name`.
pub(super) fn is_root(name: &str) -> bool {
    fields(name).next().is_some()
}

/// What variables of the response stand under.
pub(super) const RESPONSE: &str = "response";

/// What variables stand under while there is no response.
pub(super) const ROOTS: &[&str] = &["request", "client", "caller", "route", "connection"];
