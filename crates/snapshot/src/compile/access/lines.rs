//! Long lists: files of one JSON item a line.

use base::Problem;
use serde::de::DeserializeOwned;

use super::origin::Origin;

/// Most bytes of a file: five million applications with a key each, and as many again.
pub(super) const BYTES_MAX: u64 = 2 << 30;

/// The items of a file, each with the number of its line, or what is wrong with it. Empty lines are
/// none.
pub(super) fn items<T: DeserializeOwned>(
    bytes: &[u8],
) -> impl Iterator<Item = (usize, Result<T, String>)> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let written = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    written.map(|(number, line)| {
        let item = serde_json::from_slice(line).map_err(|error| {
            // Its own line is always the first.
            let text = error.to_string();
            match text.split_once(" at line 1 column ") {
                Some((what, column)) => format!("{what}, at column {column}"),
                None => text,
            }
        });
        (number + 1, item)
    })
}

/// How many items there may be in a file.
pub(super) fn count(bytes: &[u8]) -> usize {
    // Each has a line, and `{}` in it.
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    lines.min(bytes.len() / 2)
}

/// What is wrong with a line, as [`items`] says it.
pub(super) fn problem(origin: Origin, what: &str) -> Problem {
    let hint = "each line is one item, in JSON, as the document would have it";
    origin.problem(&[], what).hint(hint)
}

#[cfg(test)]
mod tests {
    use config::v1::Subscription;

    use super::*;

    #[test]
    fn each_line_is_an_item_or_says_what_is_wrong_with_it() {
        let text = "\u{feff}{\"application\":\"a\",\"plan\":\"gold\"}\r\n\n  \n{\"application\":7}\n\
                    {\"application\":\"b\",\"plan\":\"gold\",\"end\":1}\n{\"application\":\"c\",\n";
        let items: Vec<_> = items::<Subscription>(text.as_bytes())
            .map(|(line, item)| (line, item.map(|item| item.application)))
            .collect();
        let wrong = |at: usize| items[at].1.as_ref().unwrap_err().as_str();
        assert_eq!(items[0], (1, Ok("a".into())));
        assert_eq!([items[1].0, items[2].0, items[3].0], [4, 5, 6]);
        assert!(wrong(1).contains("expected a string, at column 16"), "{}", wrong(1));
        assert!(wrong(2).contains("unknown field `end`"), "{}", wrong(2));
        assert!(wrong(3).contains("EOF"), "{}", wrong(3));
    }
}
