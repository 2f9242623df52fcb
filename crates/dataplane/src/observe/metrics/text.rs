//! The formats metrics are read in: Prometheus text 0.0.4 and OpenMetrics 1.0.

use std::collections::HashSet;
use std::fmt::{Display, Write};

use super::family::{Family, Kind};
use super::histogram::{Counted, LE};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

impl Format {
    /// The format a scraper asks for; Prometheus' own unless it names the other.
    pub fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A page of metrics in the making.
pub(crate) struct Text {
    format: Format,
    out: String,
}

impl Text {
    /// An empty page.
    pub const fn new(format: Format) -> Self {
        Self { format, out: String::new() }
    }

    /// The page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Starts a metric; its series follow.
    pub fn family<'t>(&'t mut self, family: &'static Family) -> Samples<'t> {
        let name = match self.format {
            Format::OpenMetrics => family.name.strip_suffix("_total").unwrap_or(family.name),
            Format::Prometheus => family.name,
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {}", family.kind.word()));
        Samples { text: self, family, added: HashSet::new() }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string can't fail.
        let _ = writeln!(self.out, "{line}");
    }
}

/// The series of one metric.
pub(crate) struct Samples<'t> {
    text: &'t mut Text,
    family: &'static Family,
    added: HashSet<String>,
}

impl Samples<'_> {
    /// A series: the values of the family's labels, and its number.
    pub fn add(&mut self, labels: &[&str], value: impl Display) {
        debug_assert!(
            self.family.kind != Kind::Histogram && labels.len() == self.family.labels.len()
        );
        self.sample("", labels, None, value);
    }

    /// A series of labels that may come up twice: a page with a series twice is refused as a whole.
    pub fn add_once(&mut self, labels: &[&str], value: impl Display) {
        if self.added.insert(labels.join("\0")) {
            self.add(labels, value);
        }
    }

    /// A histogram's series.
    pub fn histogram(&mut self, labels: &[&str], counted: &Counted) {
        debug_assert!(self.family.kind == Kind::Histogram);
        for (le, count) in LE.iter().zip(counted.up_to) {
            self.sample("_bucket", labels, Some(le), count);
        }
        self.sample("_sum", labels, None, counted.seconds);
        self.sample("_count", labels, None, counted.count());
    }

    fn sample(&mut self, suffix: &str, labels: &[&str], le: Option<&str>, value: impl Display) {
        let out = &mut self.text.out;
        out.push_str(self.family.name);
        out.push_str(suffix);
        let named = self.family.labels.iter().copied().zip(labels.iter().copied());
        let mut open = false;
        for (name, value) in named.chain(le.map(|le| ("le", le))) {
            out.push(if open { ',' } else { '{' });
            open = true;
            out.push_str(name);
            out.push_str("=\"");
            escape(out, value);
            out.push('"');
        }
        if open {
            out.push('}');
        }
        self.text.line(format_args!(" {value}"));
    }
}

/// Writes a label's value, so that it can't end early.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family;
    use super::*;

    #[test]
    fn a_label_can_not_end_early() {
        let mut text = Text::new(Format::Prometheus);
        text.family(&family::ACCEPTED).add(&["a\"} 1\nb\\"], 3);
        let expected = "gateward_connections_accepted_total{listener=\"a\\\"} 1\\nb\\\\\"} 3\n";
        assert!(text.finish().ends_with(expected));
    }

    #[test]
    fn openmetrics_differs_in_counters_names_and_the_end() {
        let page = |format| {
            let mut text = Text::new(format);
            text.family(&family::SPANS_EXPORTED).add(&[], 1);
            text.finish()
        };
        assert_eq!(
            page(Format::Prometheus),
            "# HELP gateward_spans_exported_total Spans the collector took.\n\
             # TYPE gateward_spans_exported_total counter\n\
             gateward_spans_exported_total 1\n"
        );
        assert_eq!(
            page(Format::OpenMetrics),
            "# HELP gateward_spans_exported Spans the collector took.\n\
             # TYPE gateward_spans_exported counter\n\
             gateward_spans_exported_total 1\n# EOF\n"
        );
    }

    #[test]
    fn the_format_is_what_the_scraper_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            (prometheus, Format::OpenMetrics),
        ] {
            assert_eq!(Format::wanted(accept), format, "{accept}");
        }
    }
}
