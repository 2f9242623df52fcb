//! The tokens of a GraphQL document (GraphQL, September 2025, §2.1). Without HTTP.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// `!`, `{`, `...` and the like, by its first character.
    Mark(char),
    /// A name.
    Name(&'t str),
    /// A whole number.
    Int(&'t str),
    /// Any other value: a number with a point, a text.
    Other,
}

/// Why there is no next token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadToken {
    /// It is none.
    Malformed,
    /// There were more than are taken.
    TooMany,
}

/// Takes a document apart.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    rest: &'t str,
    left: usize,
}

impl<'t> Lexer<'t> {
    /// Of `text`, at most `most` tokens.
    pub fn new(text: &'t str, most: usize) -> Self {
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), left: most }
    }

    /// The next token; none at the end.
    pub fn next(&mut self) -> Result<Option<Token<'t>>, BadToken> {
        self.skip();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        self.left = self.left.checked_sub(1).ok_or(BadToken::TooMany)?;
        let token = match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.take(1);
                Token::Mark(first)
            }
            '.' if self.rest.starts_with("...") => {
                self.take(3);
                Token::Mark('.')
            }
            'A'..='Z' | 'a'..='z' | '_' => {
                let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                Token::Name(self.take(end.unwrap_or(self.rest.len())))
            }
            '-' | '0'..='9' => self.number()?,
            '"' if self.rest.starts_with("\"\"\"") => self.block()?,
            '"' => self.string()?,
            _ => return Err(BadToken::Malformed),
        };
        Ok(Some(token))
    }

    /// Takes `count` bytes.
    fn take(&mut self, count: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Goes over what means nothing: white space, commas, comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ',', '\u{feff}']);
            let Some(comment) = self.rest.strip_prefix('#') else { return };
            let end = comment.find(['\n', '\r']).unwrap_or(comment.len());
            self.rest = comment.get(end..).unwrap_or_default();
        }
    }

    fn number(&mut self) -> Result<Token<'t>, BadToken> {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let text = self.take(end);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty();
        if whole && (digits.len() == 1 || !digits.starts_with('0')) {
            return Ok(Token::Int(text));
        }
        // A number with a point or an exponent is one as JSON has it.
        match serde_json::from_str::<serde_json::Number>(text) {
            Ok(_) => Ok(Token::Other),
            Err(_) => Err(BadToken::Malformed),
        }
    }

    fn string(&mut self) -> Result<Token<'t>, BadToken> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' | '\r' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.take(at + 1);
                    return Ok(Token::Other);
                }
                _ => {}
            }
        }
        Err(BadToken::Malformed)
    }

    fn block(&mut self) -> Result<Token<'t>, BadToken> {
        self.take(3);
        loop {
            let end = self.rest.find("\"\"\"").ok_or(BadToken::Malformed)?;
            let escaped = self.take(end).ends_with('\\');
            self.take(3);
            if !escaped {
                return Ok(Token::Other);
            }
        }
    }
}
