//! A line for every refusal that no access log tells of, held to a rate: a flood of refusals is not
//! a flood of lines.

use std::sync::atomic::{AtomicU64, Ordering};

use policy::{Code, Exchange};

use super::metrics::PerCore;

/// Lines a second and core; more are counted and told with the next line.
const LINES: u64 = 10;

/// Longest piece of a request that is shown.
const SHOWN: usize = 512;

/// Which refusals get a line.
pub(super) struct RefusedLines(PerCore<Limit>);

/// A core's lines of the current second. Only that core touches it.
#[derive(Default)]
struct Limit {
    second: AtomicU64,
    lines: AtomicU64,
}

impl Limit {
    /// Whether there is room for a line in this second; if so, how many found none since the last
    /// line.
    fn room(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            return Some(self.lines.swap(1, Ordering::Relaxed).saturating_sub(LINES));
        }
        (self.lines.fetch_add(1, Ordering::Relaxed) < LINES).then_some(0)
    }
}

impl RefusedLines {
    pub fn new(cores: usize) -> Self {
        Self(PerCore::new(cores))
    }

    /// Leaves a line. What a stranger wrote is shown escaped and cut short; no header value, no
    /// body, no query.
    pub fn line(&self, core: usize, x: &Exchange, code: &'static Code) {
        let Some(untold) = self.0.of(core).and_then(|limit| limit.room(x.wall.as_secs())) else {
            return;
        };
        let (api, route) = x.route.as_ref().map_or(("", ""), |found| (&*found.api, &*found.route));
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
            note = x.refusal_note.as_deref().map(|note| tracing::field::debug(cut(note))),
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
    fn a_flood_of_refusals_leaves_some_lines_and_their_number() {
        let limit = Limit::default();
        let told = |second, refusals: u64| -> Vec<u64> {
            (0..refusals).filter_map(|_| limit.room(second)).collect()
        };
        assert_eq!(told(1, 25), vec![0; 10]);
        assert_eq!(told(2, 2), [15, 0], "the next line says how many were left out");
        assert_eq!(told(3, 1), [0]);
    }

    #[test]
    fn what_is_shown_is_cut_at_a_character() {
        let long = "é".repeat(SHOWN);
        assert_eq!(cut(&long).len(), SHOWN);
        assert_eq!(cut(&format!("a{long}")).len(), SHOWN - 1);
        assert_eq!(cut("/orders"), "/orders");
    }
}
