//! A line for every refusal that no access log tells of, held to a rate: a flood of refusals is not
//! a flood of lines.

use policy::{Code, Exchange};

use super::lines::Lines;

/// Lines a second and core.
const LINES: u64 = 10;

/// Longest piece of a request that is shown.
const SHOWN: usize = 512;

/// Which refusals get a line.
pub(super) struct RefusedLines(Lines);

impl RefusedLines {
    pub fn new(cores: usize) -> Self {
        Self(Lines::new(cores, LINES))
    }

    /// Leaves a line. What a stranger wrote is shown escaped and cut short; no header value, no
    /// body, no query.
    pub fn line(&self, core: usize, x: &Exchange, code: &'static Code) {
        let Some(untold) = self.0.room(core, x.wall.as_secs()) else { return };
        let (api, route) = x.route.as_ref().map_or(("", ""), |found| (found.api(), found.route()));
        tracing::warn!(
            target: "gateward::refusal",
            code = code.name,
            status = x.response.status.code(),
            id = %x.id,
            client = %x.client,
            listener = &*x.connection.listener,
            method = x.request.method.as_str(),
            host = ?cut(x.request.target.authority.as_str()),
            path = ?cut(&x.request.target.path),
            api,
            route,
            upstream = x.upstream.name.as_deref(),
            endpoint = x.upstream.endpoint.as_deref(),
            note = x.note.as_deref().map(|note| tracing::field::debug(cut(note))),
            untold = (untold > 0).then_some(untold),
            "refused: {}",
            code.title
        );
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_cut_at_a_character() {
        let long = "é".repeat(SHOWN);
        assert_eq!(cut(&long).len(), SHOWN);
        assert_eq!(cut(&format!("a{long}")).len(), SHOWN - 1);
        assert_eq!(cut("/orders"), "/orders");
    }
}
