//! What happens to a request that passed its route's policies.

use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use policy::message::{Known, Name, Status, is_value};

use super::upstreams::Upstreams;
use super::{Findings, host, retry, split, templates};
use crate::regex::Regex;
use crate::{
    Action, FixedAnswer, Forward, HostRewrite, Mirror, Part, PathRewrite, Redirect, Split,
};

/// Where a route stands, and its API.
pub(super) struct Place<'a> {
    pub api: &'a v1::Api,
    pub at_api: &'a Pointer,
    pub route: &'a v1::Route,
    pub at: &'a Pointer,
}

impl<'a> Place<'a> {
    /// What the route says, else the API; with the place.
    fn inherited<T>(
        &self,
        name: &str,
        of_route: &'a Option<T>,
        of_api: &'a Option<T>,
    ) -> Option<(&'a T, Pointer)> {
        let own = of_route.as_ref().map(|own| (own, self.at.key(name)));
        own.or_else(|| Some((of_api.as_ref()?, self.at_api.key(name))))
    }
}

/// What compiling an action needs.
pub(super) struct Actions<'a, 'u> {
    pub place: Place<'a>,
    /// Bytes of the API's path.
    pub base: usize,
    /// Bytes of the request's path that a new prefix takes the place of.
    pub prefix: usize,
    /// The route's parameters.
    pub params: &'a [Arc<str>],
    pub upstreams: &'a mut Upstreams<'u>,
    pub findings: &'a mut Findings,
}

impl Actions<'_, '_> {
    /// The one thing that happens.
    pub fn compile(mut self) -> Option<Action> {
        let route = self.place.route;
        let named: Vec<&str> = [
            ("upstream", route.upstream.is_some()),
            ("redirect", route.redirect.is_some()),
            ("respond", route.respond.is_some()),
        ]
        .iter()
        .filter_map(|(name, is_there)| is_there.then_some(*name))
        .collect();
        if let [first, second, ..] = *named {
            let what = format!("the route has both `{first}` and `{second}`");
            let problem = Problem::key(&self.place.at.key(second), what);
            self.findings.problem(problem.hint("keep one: a request is answered once"));
        }
        if let Some(redirect) = &route.redirect {
            self.check_not_forwarded("redirect");
            return Some(Action::Redirect(Box::new(self.redirect(redirect)?)));
        }
        if let Some(respond) = &route.respond {
            self.check_not_forwarded("respond");
            return Some(Action::Respond(Box::new(self.respond(respond)?)));
        }
        Some(Action::Forward(self.forward()?))
    }

    /// Refuses what only means something on the way to an upstream.
    fn check_not_forwarded(&mut self, action: &str) {
        let route = self.place.route;
        for (name, is_there) in [
            ("timeouts", route.timeouts.is_some()),
            ("retry", route.retry.is_some()),
            ("rewrite", route.rewrite.is_some()),
            ("mirror", route.mirror.is_some()),
        ] {
            if is_there {
                let what =
                    format!("`{name}` does nothing beside `{action}`: no upstream is called");
                let problem = Problem::key(&self.place.at.key(name), what);
                self.findings.problem(problem.hint("remove it"));
            }
        }
    }

    fn forward(&mut self) -> Option<Forward> {
        let (api, route) = (self.place.api, self.place.route);
        let Some((to, at)) = self.place.inherited("upstream", &route.upstream, &api.upstream)
        else {
            let what = match api.routes.is_empty() {
                true => format!("API `{}` has no way to answer", api.name),
                false => format!("this route of API `{}` has no way to answer", api.name),
            };
            let hint = "give it an `upstream`, or routes with `respond` or `redirect`";
            self.findings.problem(Problem::new(self.place.at, what).hint(hint));
            return None;
        };
        let split = self.split(to, &at);
        let retry = self.retry(split.as_ref());
        let rewrite = self.place.inherited("rewrite", &route.rewrite, &api.rewrite);
        let path = rewrite
            .as_ref()
            .and_then(|(rewrite, at)| self.path(rewrite.path.as_ref()?, &at.key("path")));
        let host = rewrite.as_ref().map(|(rewrite, at)| self.host(rewrite, &at.key("host")));
        let mirror = self.place.inherited("mirror", &route.mirror, &api.mirror);
        let mirror = mirror.and_then(|(mirror, at)| self.mirror(mirror, &at));
        Some(Forward {
            split: split?,
            strip: if api.strip_path { self.base } else { 0 },
            path,
            host: host.unwrap_or(HostRewrite::Keep),
            retry,
            mirror,
        })
    }

    fn split(&mut self, to: &v1::UpstreamRef, at: &Pointer) -> Option<Split> {
        let api = (&self.place.api.timeouts, &self.place.route.timeouts);
        if let Some(own) = api.1 {
            retry::check_overrides(own, &self.place.at.key("timeouts"), self.findings);
        }
        let resolve = |name: &str, at: &Pointer, findings: &mut Findings| {
            self.upstreams.resolve(name, at, findings)
        };
        let shares = split::shares(to, at, self.findings, resolve);
        split::of(shares.into_iter().filter_map(|(upstream, up_to)| {
            let timeouts = self.upstreams.get(upstream)?.timeouts;
            let timeouts = retry::overridden(timeouts, api.0.iter().chain(api.1));
            Some(Part { upstream, up_to, timeouts })
        }))
    }

    fn retry(&mut self, split: Option<&Split>) -> Option<crate::Retry> {
        let (api, route) = (self.place.api, self.place.route);
        let written = self.place.inherited("retry", &route.retry, &api.retry);
        let own = written.as_ref().map(|(own, at)| retry::retry(own, at, self.findings));
        let at = match &written {
            Some((_, at)) => Some(at.key("per_try_timeout")),
            // The upstream's retries fit its own timeouts; only others can break that.
            None => self
                .place
                .inherited("timeouts", &route.timeouts, &api.timeouts)
                .map(|(_, at)| at.key("total")),
        };
        if let (Some(at), Some(split)) = (at, split) {
            let misfit = split.parts().find_map(|part| {
                let of_upstream = &self.upstreams.get(part.upstream)?.retry;
                retry::misfit(own.as_ref().unwrap_or(of_upstream), &part.timeouts, &at)
            });
            misfit.into_iter().for_each(|problem| self.findings.problem(problem));
        }
        own
    }

    fn path(&mut self, rewrite: &v1::PathRewrite, at: &Pointer) -> Option<PathRewrite> {
        match rewrite {
            v1::PathRewrite::Template(text) => {
                let template = templates::parse(text, self.params, at);
                self.findings.take(template).map(PathRewrite::Template)
            }
            v1::PathRewrite::Prefix { prefix } => {
                let path = crate::path::canonical(prefix);
                let path = path.map_err(|bad| bad.problem(&at.key("prefix")));
                let path = self.findings.take(path)?;
                let path = path.strip_suffix('/').unwrap_or(&path);
                Some(PathRewrite::Prefix(self.prefix, path.into()))
            }
            v1::PathRewrite::Regex { regex: source, to } => {
                let bad = |what: String| {
                    Problem::new(&at.key("regex"), format!("the expression `{source}` {what}"))
                        .hint("the syntax is that of https://docs.rs/regex")
                };
                let regex = self.findings.take(Regex::anywhere(source).map_err(bad))?;
                self.check_replacement(&regex, to, &at.key("to"));
                Some(PathRewrite::Regex(regex, to.as_str().into()))
            }
        }
    }

    fn check_replacement(&mut self, regex: &Regex, to: &str, at: &Pointer) {
        if let Some(group) = regex.unknown_group(to) {
            let what = format!("the expression has no group `{group}`");
            let hint = "write `${1}x` where a group is followed by letters, and `$$` for a dollar";
            self.findings.problem(Problem::new(at, what).hint(hint));
        }
        if !to.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\')) {
            let problem = Problem::new(at, format!("`{to}` does not fit into a path"));
            self.findings
                .problem(problem.hint("escape what has a meaning of its own: `%20`, `%3F`"));
        }
    }

    fn host(&mut self, rewrite: &v1::Rewrite, at: &Pointer) -> HostRewrite {
        match rewrite.host.as_deref() {
            None => HostRewrite::Keep,
            Some("{upstream}") => HostRewrite::Endpoint,
            Some(host) => {
                let (name, port) = host.split_once(':').unwrap_or((host, "1"));
                if !host::is_name(name) || port.parse::<u16>().is_err() {
                    let what = format!("`{host}` is no host");
                    let hint = "write a name, as in `orders.internal`, or `{upstream}`";
                    self.findings.problem(Problem::new(at, what).hint(hint));
                }
                HostRewrite::Fixed(host.to_ascii_lowercase().into())
            }
        }
    }

    fn mirror(&mut self, mirror: &v1::Mirror, at: &Pointer) -> Option<Mirror> {
        let upstream = self.upstreams.resolve(&mirror.to, &at.key("to"), self.findings)?;
        Some(Mirror { upstream, share: (mirror.percent * 10_000.0).round() as u32 })
    }

    fn redirect(&mut self, written: &v1::Redirect) -> Option<Redirect> {
        let at = self.place.at.key("redirect");
        let status = Status::new(written.status)
            .filter(|status| matches!(status.code(), 301 | 302 | 303 | 307 | 308));
        if status.is_none() {
            let problem =
                Problem::new(&at.key("status"), format!("{} is no redirect", written.status));
            self.findings.problem(problem.hint("write 301, 302, 303, 307 or 308"));
        }
        let scheme = written.scheme.as_deref();
        if scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
            let problem = Problem::new(&at.key("scheme"), "the scheme is neither http nor https");
            self.findings.problem(problem.hint("write `http` or `https`"));
        }
        if let Some(host) = written.host.as_deref().filter(|host| !host::is_name(host)) {
            let problem = Problem::new(&at.key("host"), format!("`{host}` is no host"));
            self.findings
                .problem(problem.hint("write a name alone; the port has a field of its own"));
        }
        if written.port == Some(0) {
            self.findings.problem(Problem::new(&at.key("port"), "there is no port 0"));
        }
        let path = written
            .path
            .as_deref()
            .map(|path| self.findings.take(templates::parse(path, self.params, &at.key("path"))));
        let changes = scheme.is_some()
            || written.host.is_some()
            || written.port.is_some()
            || written.path.is_some()
            || !written.keep_query;
        if !changes {
            let problem = Problem::new(&at, "the redirect leads back to where it comes from");
            self.findings.problem(problem.hint("name another `scheme`, `host`, `port` or `path`"));
        }
        Some(Redirect {
            status: status?,
            scheme: scheme.map(Into::into),
            host: written.host.as_deref().map(|host| host.to_ascii_lowercase().into()),
            port: written.port,
            path: path.flatten(),
            keep_query: written.keep_query,
        })
    }

    fn respond(&mut self, written: &v1::FixedAnswer) -> Option<FixedAnswer> {
        let at = self.place.at.key("respond");
        let status = Status::new(written.status).filter(|status| status.code() >= 200);
        let Some(status) = status else {
            let problem = Problem::new(&at.key("status"), "an answer's status is 200 to 599");
            self.findings.problem(problem);
            return None;
        };
        if !status.may_have_body() && !written.body.is_empty() {
            let what = format!("an answer of status {} has no body", written.status);
            let problem = Problem::new(&at.key("body"), what);
            self.findings.problem(problem.hint("remove it, or choose another status"));
        }
        let mut headers = Vec::with_capacity(written.headers.len());
        for (text, value) in &written.headers {
            let at = at.key("headers").key(text.as_str());
            let name = Name::new(text);
            let of_connection = [Known::ContentLength, Known::TransferEncoding, Known::Connection];
            if name
                .as_ref()
                .is_some_and(|name| of_connection.iter().any(|own| *name == (*own).into()))
            {
                let what = format!("`{text}` is the gateway's to write");
                self.findings.problem(Problem::key(&at, what).hint("remove it"));
            } else if let Some(name) = name.filter(|_| value.bytes().all(is_value)) {
                headers.push((name, value.as_str().into()));
            } else {
                let problem = Problem::new(
                    &at,
                    format!("`{text}: {}` is no header field", value.escape_debug()),
                );
                self.findings.problem(problem.hint("a name is one word, and a value one line"));
            }
        }
        Some(FixedAnswer { status, headers, body: written.body.clone().into() })
    }
}
