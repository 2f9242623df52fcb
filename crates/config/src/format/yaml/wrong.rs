//! The scanner's complaints, in words that say what to write instead.

use crate::fault::Fault;
use crate::tree::Place;

/// Part of the scanner's word for it; what is wrong; what to write instead.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "tabs disallowed",
        "a tab stands where the line is indented",
        "indent with spaces; YAML allows no tabs there",
    ),
    (
        "parsing a flow mapping",
        "this `{…}` does not go on as one: `,` or `}` is missing before here",
        "close it with `}`; text with `{`, `}` or `,` in it needs quotes there, as in path: \"/{id}\"",
    ),
    (
        "parsing a flow sequence",
        "this `[…]` does not go on as one: `,` or `]` is missing before here",
        "close it with `]`; text with `[`, `]` or `,` in it needs quotes there",
    ),
    ("unexpected character", "text can't start with this character", "put the text in quotes"),
    ("found unexpected end of stream", "this quote is never closed", "close it"),
    (
        "mapping values are not allowed",
        "a key with a value can't stand here",
        "indent it like the keys it belongs to; text with `: ` in it needs quotes",
    ),
    (
        "did not find expected key",
        "this line is indented like none of the keys above it",
        "give it the indentation of the keys it belongs to",
    ),
    (
        "did not find expected '-' indicator",
        "a list stands above, and this is not an item of it",
        "start items with `- `; indent keys of an item like its first key",
    ),
    (
        "found unknown anchor",
        "this alias stands for nothing: no anchor has its name",
        "text that starts with `*` or `&` needs quotes, as in \"*.example.com\"",
    ),
    (
        "unknown escape character",
        "this text has an escape that YAML does not know",
        "write `\\\\` for a backslash, or use single quotes, where nothing is an escape",
    ),
    (
        "simple key expect",
        "this line is neither `key: value` nor an item of a list",
        "write `key: value` with a space after the colon; items start with `- `",
    ),
    ("misplaced bracket", "this bracket closes nothing", "remove it; in text it needs quotes"),
    (
        "block sequence entries are not allowed",
        "an item of a list can't start in the middle of a line",
        "start it on a line of its own, or write the list as `[a, b]`; text that starts with `- ` needs quotes",
    ),
    (
        "did not find expected node content",
        "a value is missing here",
        "write it, or remove the comma before",
    ),
    (
        "recursion limit",
        "brackets stand too deep in each other here",
        "no document needs this; look for a bracket that is not closed",
    ),
    (
        "unprintable character",
        "a control character stands here",
        "remove it, or write it as an escape in double quotes: \"\\x01\"",
    ),
];

/// The fault of YAML that does not parse. `info` is the scanner's word for it, `at` where it
/// stopped.
pub(super) fn explain(info: &str, at: Place, text: &str) -> Fault {
    let place = widen(at, text);
    match KNOWN.iter().find(|(word, ..)| info.contains(word)) {
        Some((_, what, hint)) => Fault::new(place, *what).hint(*hint),
        None => Fault::new(place, format!("this is not YAML: {info}")),
    }
}

/// Something to underline: the word at the place, or the last one of the file.
fn widen(at: Place, text: &str) -> Place {
    let end = text.trim_end().len();
    let start = (at.start as usize).min(end);
    let word = text[start..]
        .find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}'))
        .unwrap_or(text.len() - start);
    if word > 0 {
        return Place::new(at.file, start, start + word);
    }
    let char = |text: &str| text.chars().next().map_or(0, char::len_utf8);
    if start < end {
        return Place::new(at.file, start, start + char(&text[start..]));
    }
    let last = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    Place::new(at.file, last, end)
}

/// The fault of a tag.
pub(super) fn tag(tag: &str, place: Place) -> Fault {
    let tag = tag.replace("tag:yaml.org,2002:!", "!!");
    Fault::new(place, format!("the tag `{tag}` has no meaning here"))
        .hint("remove it; for text that looks like something else, use quotes")
}

/// The fault of a merge key.
pub(super) fn merge_key(place: Place) -> Fault {
    Fault::new(place, "merge keys (`<<`) are not part of YAML 1.2")
        .hint("write the fields out, or use an alias for the whole value: `retry: *usual`")
}
