//! Fills comments that are wider than a line may be; rustfmt leaves them as they are.

use crate::tidy::source::string_lines;

/// The text with paragraphs of comments filled up to so many columns, where one was wider.
pub fn filled(text: &str, columns: usize) -> String {
    let strings = string_lines(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut filled = Vec::new();
    let mut at = 0;
    let mut fenced = false;
    while let Some(line) = lines.get(at) {
        let comment = Comment::of(line).filter(|_| !strings.contains(&(at + 1)));
        fenced ^= comment.as_ref().is_some_and(|comment| comment.text.starts_with("```"));
        let Some(comment) = comment.filter(|comment| !fenced && comment.is_prose()) else {
            filled.push((*line).to_owned());
            at += 1;
            continue;
        };
        let more = lines[at + 1..].iter().take_while(|line| comment.goes_on(line)).count();
        let paragraph = &lines[at..=at + more];
        if paragraph.iter().any(|line| line.chars().count() > columns) {
            filled.extend(comment.fill(paragraph, columns));
        } else {
            filled.extend(paragraph.iter().map(|line| (*line).to_owned()));
        }
        at += more + 1;
    }
    filled.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

/// A line that is a comment and nothing else.
struct Comment<'a> {
    /// Everything up to the words: spaces, then `//`, `///` or `//!`.
    mark: &'a str,
    text: &'a str,
}

impl<'a> Comment<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let slashes = line.find("//").filter(|at| line[..*at].trim().is_empty())?;
        let words =
            line[slashes..].find(|c| c != '/' && c != '!').map_or(line.len(), |n| slashes + n);
        let (mark, text) = line.split_at(words);
        Some(Self { mark, text: text.trim() })
    }

    /// How far the words of an item's further lines stand in.
    fn indent(&self) -> usize {
        let digits = self.text.bytes().take_while(u8::is_ascii_digit).count();
        match self.text.get(digits..) {
            Some(rest) if digits > 0 && rest.starts_with(". ") => digits + 2,
            _ if self.text.starts_with("- ") || self.text.starts_with("* ") => 2,
            _ => 0,
        }
    }

    fn is_prose(&self) -> bool {
        !self.text.is_empty() && !self.text.starts_with(['|', '#', '<', '[', '`', '='])
            || self.text.starts_with('`') && !self.text.starts_with("```")
            || self.text.starts_with('[') && !self.text.contains("]: ")
    }

    /// Whether this line belongs to the paragraph that begins with `self`.
    fn goes_on(&self, line: &str) -> bool {
        Comment::of(line).is_some_and(|next| {
            let spaces = line[next.mark.len()..].bytes().take_while(|b| *b == b' ').count();
            next.mark == self.mark
                && next.is_prose()
                && next.indent() == 0
                && spaces == 1 + self.indent()
        })
    }

    fn fill(&self, paragraph: &[&str], columns: usize) -> Vec<String> {
        let words = paragraph.iter().flat_map(|line| line[self.mark.len()..].split_whitespace());
        let mut lines = Vec::new();
        let mut line = self.mark.to_owned();
        let mut empty = true;
        for word in words {
            if !empty && line.chars().count() + 1 + word.chars().count() > columns {
                lines.push(std::mem::replace(&mut line, self.mark.to_owned()));
                line.push_str(&" ".repeat(self.indent()));
            }
            line.push(' ');
            line.push_str(word);
            empty = false;
        }
        lines.push(line);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn a_wide_paragraph_is_filled_and_no_other() {
        for (text, expected) in [
            ("//! one two three four\n//! five\n", "//! one two\n//! three four\n//! five\n"),
            ("    // one two three\nlet a;\n", "    // one two\n    // three\nlet a;\n"),
            ("/// - one two three\n///   four\n", "/// - one two\n///   three\n///   four\n"),
            ("/// one two\n///\n/// three\n", "/// one two\n///\n/// three\n"),
            ("/// | one | two | three |\n", "/// | one | two | three |\n"),
            (
                "/// ```\n/// one two three four\n/// ```\n",
                "/// ```\n/// one two three four\n/// ```\n",
            ),
            ("let a = \"\n// one two three four\";\n", "let a = \"\n// one two three four\";\n"),
            ("let a; // one two three four\n", "let a; // one two three four\n"),
        ] {
            assert_eq!(filled(text, 14), expected);
        }
    }
}
