//! What rules of forwarding and redirecting come to for one request. Appends to the caller's
//! buffers and allocates nothing else.

use std::fmt::Write;

use policy::message::Request;

use crate::path::is_safe;
use crate::{Forward, Part, PathRewrite, Redirect, Split, Template, TemplatePart};

/// A rewritten path that leads elsewhere than its writer meant: parameters made a dot segment or an
/// empty first one of it. To be refused, not repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsafePath;

impl Split {
    /// The upstream that `random`, any number, stands for.
    pub fn pick(&self, random: u64) -> &Part {
        let total = self.others.last().map_or(self.first.up_to, |part| part.up_to);
        // A number below the total, each as likely as any other.
        let share = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        self.parts().find(|part| share < part.up_to).unwrap_or(&self.first)
    }

    /// Its upstreams.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Template {
    /// Appends the text with values in it. `path` is the one that `values` were found in. Values
    /// are pieces of a canonical path: what needs an escape has it.
    pub fn write(&self, path: &str, values: &[(u32, u32)], out: &mut String) {
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => out.push_str(text),
                TemplatePart::Param(number) => {
                    let found = values.get(*number);
                    let value =
                        found.and_then(|(start, end)| path.get(*start as usize..*end as usize));
                    out.push_str(value.unwrap_or_default());
                }
            }
        }
    }
}

impl Forward {
    /// Appends the path that the upstream is asked for. `path` is the request's, as it was when the
    /// route was found.
    ///
    /// # Errors
    /// The values of parameters make a path of it that leads elsewhere.
    pub fn path(
        &self,
        path: &str,
        values: &[(u32, u32)],
        out: &mut String,
    ) -> Result<(), UnsafePath> {
        let start = out.len();
        match &self.path {
            None => {
                // What is cut off ends where a segment ends; nothing left is the root.
                let rest = path.get(self.strip..).unwrap_or(path);
                out.push_str(if rest.is_empty() { "/" } else { rest });
                return check_start(out.get(start..));
            }
            Some(PathRewrite::Prefix(cut, prefix)) => {
                out.push_str(prefix);
                out.push_str(path.get(*cut..).unwrap_or(path));
                if out.len() == start {
                    out.push('/');
                }
                return check_start(out.get(start..));
            }
            Some(PathRewrite::Template(template)) => template.write(path, values, out),
            Some(PathRewrite::Regex(regex, to)) => {
                let rest = path.get(self.strip..).unwrap_or(path);
                regex.replace(if rest.is_empty() { "/" } else { rest }, to, out);
            }
        }
        if is_safe(out.get(start..).unwrap_or_default()) { Ok(()) } else { Err(UnsafePath) }
    }
}

impl Redirect {
    /// Appends where the caller is sent: an absolute URL, or a path alone where the request names
    /// no host.
    ///
    /// # Errors
    /// The values of parameters make a path of it that leads elsewhere.
    pub fn location(
        &self,
        request: &Request,
        values: &[(u32, u32)],
        out: &mut String,
    ) -> Result<(), UnsafePath> {
        let target = &request.target;
        let host = self.host.as_deref().unwrap_or(target.authority.host());
        if !host.is_empty() {
            out.push_str(self.scheme.as_deref().unwrap_or(target.scheme.text()));
            out.push_str("://");
            out.push_str(host);
            // The port asked for belongs to the scheme and host asked for.
            let kept = target.authority.port();
            let kept = kept.filter(|_| self.scheme.is_none() && self.host.is_none());
            let scheme = self.scheme.as_deref().unwrap_or(target.scheme.text());
            let usual = if scheme == "https" { 443 } else { 80 };
            if let Some(port) = self.port.or(kept).filter(|port| *port != usual) {
                // Writing to a string can't fail.
                let _ = write!(out, ":{port}");
            }
        }
        let start = out.len();
        match &self.path {
            Some(template) => template.write(&target.path, values, out),
            None => out.push_str(&target.path),
        }
        if let Some(query) = target.query.as_deref().filter(|_| self.keep_query) {
            let end = out.len();
            out.push('?');
            out.push_str(query);
            return check(out.get(start..end));
        }
        check(out.get(start..))
    }
}

/// What is left of a path, in which slashes may stand together, must not start with two: what
/// follows there is a host to some.
fn check_start(path: Option<&str>) -> Result<(), UnsafePath> {
    if path.is_some_and(|path| path.starts_with("//")) { Err(UnsafePath) } else { Ok(()) }
}

fn check(path: Option<&str>) -> Result<(), UnsafePath> {
    if path.is_some_and(is_safe) { Ok(()) } else { Err(UnsafePath) }
}
