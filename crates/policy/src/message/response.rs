//! A response's head and body.

use super::{Body, Headers, Version};

/// A status code, 100 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// 200.
    pub const OK: Self = Self(200);

    /// The status of this number; none outside 100 to 599.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code < 600 { Some(Self(code)) } else { None }
    }

    /// Its number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether a response of this status to any request but HEAD may have a body (RFC 9110 §6.4.1).
    pub const fn may_have_body(self) -> bool {
        self.0 >= 200 && self.0 != 204 && self.0 != 304
    }

    /// Its first digit: 2 for 2xx.
    pub const fn class(self) -> u16 {
        self.0 / 100
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::OK
    }
}

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// The version it came by, from the upstream.
    pub version: Version,
    /// Its fields, without those of the connection.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
}

impl Response {
    /// An empty response of this status.
    pub fn new(status: Status) -> Self {
        Self { status, ..Self::default() }
    }

    /// Makes it as new, keeps the memory.
    pub fn clear(&mut self) {
        self.status = Status::OK;
        self.version = Version::default();
        self.headers.clear();
        self.body = Body::Empty;
    }
}
