//! Time zones by their IANA names.

use std::sync::LazyLock;

use base::{Pointer, Problem, Problems};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Built in, so that a document means the same on every instance, whatever machine it runs on.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of this name, which stands at `at`.
pub(crate) fn find(name: &str, at: &Pointer, problems: &mut Problems) -> Option<TimeZone> {
    let found = ZONES.get(name).ok();
    if found.is_none() {
        let names: Vec<String> = ZONES.available().map(|known| known.to_string()).collect();
        let hint = match base::closest(name, names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write its IANA name, as in `Europe/Berlin` or `UTC`".to_owned(),
        };
        problems.push(Problem::new(at, format!("there is no time zone `{name}`")).hint(hint));
    }
    found
}
