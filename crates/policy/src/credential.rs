//! What the gateway proves itself with to an upstream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::Refusal;
use crate::message::{Headers, Method, Scheme};

/// A request's head as it goes to an endpoint, with every decision taken and every policy run.
#[derive(Debug)]
pub struct Outgoing<'r> {
    /// The method.
    pub method: Method,
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port, as `Host` will have them.
    pub authority: &'r str,
    /// Path and query.
    pub target: &'r mut String,
    /// The fields, without `Host` and without those of the connection.
    pub headers: &'r mut Headers,
    /// The time, since 1970.
    pub wall: Duration,
}

/// A credential of the gateway's own. A policy puts it into [`crate::Exchange::credential`]; it is
/// put onto the request after everything else, for each try, and never stands in the exchange's
/// request: no other policy, no log and no mirror sees it, and nothing a caller sends takes its
/// place.
pub trait Credential: fmt::Debug + Send + Sync {
    /// Puts it onto a request. Called for each try, on a head that an earlier try may have passed
    /// with the credential of that time on it; only its target is as it was.
    ///
    /// # Errors
    /// It can't be put there.
    fn attach(&self, request: &mut Outgoing<'_>) -> Result<(), Refusal>;

    /// The endpoint answered 401. Another credential to try with once more, where one can be had;
    /// asked once for an exchange, and only if the request can be sent again.
    fn renew(&self, wall: Duration) -> Option<Renewal<'_>> {
        let _ = wall;
        None
    }
}

/// A credential that is being renewed; none where there is no other.
pub type Renewal<'c> = Pin<Box<dyn Future<Output = Option<Arc<dyn Credential>>> + 'c>>;

impl Outgoing<'_> {
    /// Sets a field to one value. What stands under its name goes, however it is spelled: some
    /// servers take `_` and `.` for `-`. False if it can't be written.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> bool {
        let plain = |byte: u8| match byte {
            b'_' | b'.' => b'-',
            byte => byte.to_ascii_lowercase(),
        };
        self.headers.remove_where(|_, found| {
            found.len() == name.len()
                && found.iter().zip(name.bytes()).all(|(a, b)| plain(*a) == plain(b))
        });
        self.headers.append(name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_set_in_place_of_all_its_spellings() {
        let mut headers = Headers::new();
        for name in ["X-Key", "x_key", "X.Key", "x-key", "x-keys", "x-ke"] {
            headers.append(name, "theirs");
        }
        let mut outgoing = Outgoing {
            method: Method::Get,
            scheme: Scheme::Http,
            authority: "a",
            target: &mut String::new(),
            headers: &mut headers,
            wall: Duration::ZERO,
        };
        assert!(outgoing.set("X-Key", "ours"));
        assert!(!outgoing.set("X-Other", "a\r\nb"));
        let left: Vec<_> = headers.iter().map(|(_, name, value)| (name, value)).collect();
        let theirs = &b"theirs"[..];
        assert_eq!(left, [(&b"x-keys"[..], theirs), (b"x-ke", theirs), (b"X-Key", b"ours")]);
    }
}
