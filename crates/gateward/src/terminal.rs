//! What a terminal can show. Colours only where a person looks, and never where `NO_COLOR` is set.

use std::io::{IsTerminal, stderr, stdout};

use anstyle::{AnsiColor, Style};

/// Whether standard output gets colours.
pub fn colours_out() -> bool {
    wanted() && stdout().is_terminal()
}

/// Whether standard error gets colours.
pub fn colours_err() -> bool {
    wanted() && stderr().is_terminal()
}

/// <https://no-color.org>: any value but an empty one turns colours off.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Something good.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something bad.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something to look at.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// A heading.
pub const HEAD: Style = Style::new().bold();
/// Something aside.
pub const DIM: Style = Style::new().dimmed();

/// `text` in `style`, where `colours` says so.
pub fn paint(text: &str, style: Style, colours: bool) -> String {
    if colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
