//! An executable GraphQL document (GraphQL, September 2025, §2): what it selects, without values.
//! Without HTTP.

use std::collections::HashMap;

use super::lexer::{BadToken, Lexer, Token};

/// Deepest nesting of a value: lists and objects inside each other.
const VALUE_DEPTH: usize = 32;

/// Why a document can't be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not GraphQL, or not one that runs.
    Malformed(&'static str),
    /// It has more tokens than are taken.
    Tokens,
    /// It is nested deeper than is taken.
    Depth,
}

impl From<BadToken> for Bad {
    fn from(bad: BadToken) -> Self {
        match bad {
            BadToken::Malformed => Self::Malformed("a token is none"),
            BadToken::TooMany => Self::Tokens,
        }
    }
}

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document<'t> {
    pub operations: Vec<Operation<'t>>,
    pub fragments: HashMap<&'t str, Vec<Selection<'t>>>,
}

/// An operation.
#[derive(Debug)]
pub(super) struct Operation<'t> {
    pub kind: Kind,
    pub name: Option<&'t str>,
    /// Values that variables have unless said, where those are whole numbers.
    pub defaults: HashMap<&'t str, u64>,
    pub directives: u64,
    pub selection: Vec<Selection<'t>>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GraphqlOperation")]
pub(super) enum Kind {
    /// It reads.
    Query,
    /// It changes something.
    Mutation,
    /// It is told what happens.
    Subscription,
}

/// What is selected.
#[derive(Debug)]
pub(super) struct Selection<'t> {
    pub what: What<'t>,
    pub directives: u64,
    pub inner: Vec<Self>,
}

/// A field or a fragment.
#[derive(Debug)]
pub(super) enum What<'t> {
    Field {
        name: &'t str,
        aliased: bool,
        /// The arguments that are whole numbers or variables.
        arguments: Vec<(&'t str, Amount<'t>)>,
    },
    /// A fragment of the document.
    Spread(&'t str),
    /// A fragment that stands here.
    Inline,
}

/// A number, or the variable that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount<'t> {
    Number(u64),
    Variable(&'t str),
}

/// Reads `text`: at most so many tokens, selections nested at most `depth` deep.
pub(super) fn read(text: &str, tokens: usize, depth: usize) -> Result<Document<'_>, Bad> {
    let mut lexer = Lexer::new(text, tokens);
    let next = lexer.next()?;
    let mut reader = Reader { lexer, next, depth };
    let mut document = Document::default();
    while let Some(token) = reader.next {
        match token {
            Token::Mark('{') => document.operations.push(reader.operation(Kind::Query, false)?),
            Token::Name("query") => document.operations.push(reader.operation(Kind::Query, true)?),
            Token::Name("mutation") => {
                document.operations.push(reader.operation(Kind::Mutation, true)?);
            }
            Token::Name("subscription") => {
                document.operations.push(reader.operation(Kind::Subscription, true)?);
            }
            Token::Name("fragment") => reader.fragment(&mut document)?,
            _ => return Err(Bad::Malformed("no operation or fragment begins where one should")),
        }
    }
    if document.operations.is_empty() {
        return Err(Bad::Malformed("there is no operation"));
    }
    Ok(document)
}

/// Reads on from one token.
struct Reader<'t> {
    lexer: Lexer<'t>,
    next: Option<Token<'t>>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn advance(&mut self) -> Result<Option<Token<'t>>, Bad> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Takes the mark `mark`, if it comes next.
    fn takes(&mut self, mark: char) -> Result<bool, Bad> {
        let comes = self.next == Some(Token::Mark(mark));
        if comes {
            self.advance()?;
        }
        Ok(comes)
    }

    fn expect(&mut self, mark: char, why: &'static str) -> Result<(), Bad> {
        if self.takes(mark)? { Ok(()) } else { Err(Bad::Malformed(why)) }
    }

    fn name(&mut self) -> Result<&'t str, Bad> {
        match self.advance()? {
            Some(Token::Name(name)) => Ok(name),
            _ => Err(Bad::Malformed("a name is missing")),
        }
    }

    fn operation(&mut self, kind: Kind, long: bool) -> Result<Operation<'t>, Bad> {
        let (mut name, mut defaults, mut directives) = (None, HashMap::new(), 0);
        if long {
            self.advance()?;
            if let Some(Token::Name(found)) = self.next {
                name = Some(found);
                self.advance()?;
            }
            if self.takes('(')? {
                self.variables(&mut defaults)?;
            }
            directives = self.directives()?;
        }
        let selection = self.selection(1)?;
        Ok(Operation { kind, name, defaults, directives, selection })
    }

    fn variables(&mut self, defaults: &mut HashMap<&'t str, u64>) -> Result<(), Bad> {
        while !self.takes(')')? {
            self.expect('$', "a variable is missing")?;
            let name = self.name()?;
            self.expect(':', "a variable has no type")?;
            self.kind(0)?;
            if self.takes('=')?
                && let Some(Amount::Number(value)) = self.value(0)?
            {
                defaults.insert(name, value);
            }
            self.directives()?;
        }
        Ok(())
    }

    /// A type: `[Int!]!`.
    fn kind(&mut self, depth: usize) -> Result<(), Bad> {
        if depth > VALUE_DEPTH {
            return Err(Bad::Depth);
        }
        if self.takes('[')? {
            self.kind(depth + 1)?;
            self.expect(']', "a type is not closed")?;
        } else {
            self.name()?;
        }
        self.takes('!').map(|_| ())
    }

    fn fragment(&mut self, document: &mut Document<'t>) -> Result<(), Bad> {
        self.advance()?;
        let name = self.name()?;
        if name == "on" || self.name()? != "on" {
            return Err(Bad::Malformed("a fragment has no name or no type"));
        }
        self.name()?;
        self.directives()?;
        let selection = self.selection(1)?;
        if document.fragments.insert(name, selection).is_some() {
            return Err(Bad::Malformed("two fragments have one name"));
        }
        Ok(())
    }

    fn selection(&mut self, depth: usize) -> Result<Vec<Selection<'t>>, Bad> {
        // Whatever stands in fragments stands in braces here as well.
        if depth > self.depth.saturating_mul(2) {
            return Err(Bad::Depth);
        }
        self.expect('{', "a selection is missing")?;
        let mut selection = Vec::new();
        while !self.takes('}')? {
            let one = if self.takes('.')? { self.spread(depth)? } else { self.field(depth)? };
            selection.push(one);
        }
        if selection.is_empty() {
            return Err(Bad::Malformed("a selection is empty"));
        }
        Ok(selection)
    }

    fn spread(&mut self, depth: usize) -> Result<Selection<'t>, Bad> {
        match self.next {
            Some(Token::Name(name)) if name != "on" => {
                self.advance()?;
                let directives = self.directives()?;
                return Ok(Selection { what: What::Spread(name), directives, inner: Vec::new() });
            }
            Some(Token::Name(_)) => {
                self.advance()?;
                self.name()?;
            }
            _ => {}
        }
        let directives = self.directives()?;
        let inner = self.selection(depth + 1)?;
        Ok(Selection { what: What::Inline, directives, inner })
    }

    fn field(&mut self, depth: usize) -> Result<Selection<'t>, Bad> {
        let mut name = self.name()?;
        let aliased = self.takes(':')?;
        if aliased {
            name = self.name()?;
        }
        let mut arguments = Vec::new();
        if self.takes('(')? {
            while !self.takes(')')? {
                let argument = self.name()?;
                self.expect(':', "an argument has no value")?;
                let value = self.value(0)?;
                arguments.extend(value.map(|value| (argument, value)));
            }
        }
        let directives = self.directives()?;
        let has_inner = self.next == Some(Token::Mark('{'));
        let inner = if has_inner { self.selection(depth + 1)? } else { Vec::new() };
        Ok(Selection { what: What::Field { name, aliased, arguments }, directives, inner })
    }

    /// Goes over directives, and counts them.
    fn directives(&mut self) -> Result<u64, Bad> {
        let mut count = 0;
        while self.takes('@')? {
            count += 1;
            self.name()?;
            if self.takes('(')? {
                while !self.takes(')')? {
                    self.name()?;
                    self.expect(':', "an argument has no value")?;
                    self.value(0)?;
                }
            }
        }
        Ok(count)
    }

    /// Goes over a value; what it is where it is a whole number or a variable.
    fn value(&mut self, depth: usize) -> Result<Option<Amount<'t>>, Bad> {
        if depth > VALUE_DEPTH {
            return Err(Bad::Depth);
        }
        match self.advance()? {
            Some(Token::Mark('$')) => self.name().map(|name| Some(Amount::Variable(name))),
            Some(Token::Int(text)) => {
                // One too large for a number is as large as there is.
                let negative = text.starts_with('-');
                let value = if negative { 0 } else { text.parse().unwrap_or(u64::MAX) };
                Ok(Some(Amount::Number(value)))
            }
            Some(Token::Name(_) | Token::Other) => Ok(None),
            Some(Token::Mark('[')) => {
                while !self.takes(']')? {
                    self.value(depth + 1)?;
                }
                Ok(None)
            }
            Some(Token::Mark('{')) => {
                while !self.takes('}')? {
                    self.name()?;
                    self.expect(':', "a member has no value")?;
                    self.value(depth + 1)?;
                }
                Ok(None)
            }
            _ => Err(Bad::Malformed("a value is missing")),
        }
    }
}

#[cfg(test)]
mod tests;
