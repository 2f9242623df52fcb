//! Regular expressions that documents bring: linear in what they look at, and bounded in what they
//! take to keep.

use base::{Pointer, Problem, Problems};
use regex::bytes::{RegexSet, RegexSetBuilder};

/// Bytes that a set of expressions may take.
const BYTES: usize = 1 << 20;

/// Expressions in one set.
const MOST: usize = 256;

/// A set of these expressions, which stand at `at`. Letters match in either case.
pub(crate) fn any_case(texts: &[&str], at: &Pointer) -> Result<RegexSet, Problems> {
    if texts.len() > MOST {
        let problem = Problem::new(at, format!("there are more than {MOST} expressions"));
        return Err(vec![problem.hint("put several into one, as in `bot|crawler`")]);
    }
    let build = |texts: &[&str]| {
        RegexSetBuilder::new(texts).case_insensitive(true).size_limit(BYTES).build()
    };
    let mut problems = Problems::new();
    for (number, text) in texts.iter().enumerate() {
        let at = at.index(number);
        let hint = "expressions are those of the regex crate: no look-around, no back-references";
        match build(&[text]) {
            Ok(set) if set.is_match(b"") => {
                let what = format!("`{text}` matches where there is nothing, and so everything");
                problems.push(Problem::new(&at, what).hint("write what it is to find"));
            }
            Ok(_) => {}
            Err(error) => {
                let what = format!("`{text}` is no regular expression that can be kept: {error}");
                problems.push(Problem::new(&at, what).hint(hint));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    build(texts).map_err(|_| {
        let what = format!("these expressions take more than {BYTES} bytes together");
        vec![Problem::new(at, what).hint("write fewer or simpler ones, or several policies")]
    })
}
