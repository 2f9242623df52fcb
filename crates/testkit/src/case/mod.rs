//! What a case is, and how it is written.
//!
//! ```text
//! # a fourth call within the second is refused
//! policies:
//!   - rate: { limit: 3, window: 1s, by: client }
//!
//! > GET /a x3
//! < 200 x3
//! > GET /a
//! < 429
//! < retry-after: 1
//! ~ advance 1s
//! > GET /a
//! < 200
//! ```
//!
//! A file holds one case or several; each begins with its title, `# ` and a sentence. Then comes
//! its piece of a document: `policies` and `routes` of the API `test`, which answers on every path
//! and whose upstream is a fake one; `everywhere`, the policies of the document; `applications`.
//! Where it has `apis` of its own, their upstream is called `fake`.
//!
//! Then come its steps, line by line. The first two characters say what a line is:
//!
//! | line | what it does |
//! |---|---|
//! | `> METHOD target` | sends a request; `x3` behind it sends it three times |
//! | `> name: value` | gives it a header field |
//! | `> \| text` | gives it a body, with `Content-Length` or, if that was asked for, in chunks |
//! | `= 503`, `= name: value`, `= \| text` | what the upstream answers, unless 200 and nothing |
//! | `< 200` | the status expected; `x3` behind it says so of all three |
//! | `< name: value`, `< !name` | a field the answer has, or has not |
//! | `< \| text` | a text its body has in it |
//! | `^ METHOD target` | the request the upstream sees |
//! | `^ name: value`, `^ !name`, `^ \| text` | a field it has, or has not; its whole body |
//! | `^ nothing` | that the upstream sees no request |
//! | `@ 200`, `@ name: value`, `@ \| text` | what servers beside the request's way answer, if any |
//! | `@ ? text` | a text in what they were asked last: method and URL, a field, the body |
//! | `@ nothing` | that they were asked nothing |
//! | `$ text`, `$ !text` | a text that the access log's new lines have in them, or not |
//! | `$ {…}`, `$ nothing` | the whole line; that there is none |
//! | `~ advance 1s` | moves the clock |
//! | `~ meanwhile 1s` | moves it when the next request is under way and all that could run has |
//! | `~ client 192.0.2.7` | who sends from here on |

mod parse;

use std::net::IpAddr;
use std::time::Duration;

pub use parse::parse;

/// A case.
#[derive(Debug, Default)]
pub struct Case {
    /// What it shows.
    pub title: String,
    /// The line of its file that it begins at.
    pub line: usize,
    /// Its piece of a document.
    pub document: String,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A step of a case.
#[derive(Debug)]
pub enum Step {
    /// The clock moves.
    Advance(Duration),
    /// The clock moves when the next request is under way.
    Meanwhile(Duration),
    /// Requests come from here from now on.
    Client(IpAddr),
    /// A request, and what is expected.
    Call(Box<Call>),
}

/// A request, and what is expected.
#[derive(Debug, Default)]
pub struct Call {
    /// The line of the file.
    pub line: usize,
    /// How often it is sent.
    pub times: usize,
    /// The request.
    pub request: Written,
    /// What the upstream answers; its `start` is the status.
    pub answer: Written,
    /// What is expected of the answer.
    pub response: Expected,
    /// What is expected of the request that the upstream sees.
    pub upstream: Expected,
    /// What servers beside the request's way answer; none can be reached where it has no status.
    pub told: Written,
    /// What is expected in what they were asked last; `nothing`: that it was nothing.
    pub asked: Vec<String>,
    /// What is expected of the access log's line.
    pub log: Vec<String>,
}

/// A message as a case writes it.
#[derive(Debug, Default)]
pub struct Written {
    /// `GET /a`, or a status.
    pub start: String,
    /// Its fields.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

/// What is expected of a message. Nothing is, where all is empty.
#[derive(Debug, Default)]
pub struct Expected {
    /// `GET /a`, or a status.
    pub start: Option<String>,
    /// Fields it has.
    pub has: Vec<(String, String)>,
    /// Fields it has not.
    pub has_not: Vec<String>,
    /// What its body has in it, or is.
    pub body: Vec<String>,
    /// That there is none.
    pub nothing: bool,
}
