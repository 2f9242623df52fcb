//! What a Rust file holds: its functions, its tests, its string literals.

use std::ops::RangeInclusive;

use proc_macro2::{Literal, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function, from its signature to its last brace.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, after its type's: `Router::find`.
    pub name: String,
    /// Its lines, from 1.
    pub lines: RangeInclusive<usize>,
}

/// What one file holds.
#[derive(Default)]
pub struct Source {
    /// Functions with a body, nested ones too.
    pub functions: Vec<Function>,
    /// Every name it declares: types, functions, constants, modules, `Type::method`.
    pub names: Vec<String>,
    /// Lines that are compiled for tests only.
    pub tests: Vec<RangeInclusive<usize>>,
    /// Modules in files of their own that are compiled for tests only.
    pub test_modules: Vec<String>,
    owner: Vec<String>,
}

impl Source {
    /// Reads it; an error says where it is not Rust.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text)
            .map_err(|error| format!("line {}: {error}", error.span().start().line))?;
        let mut source = Self::default();
        if file.attrs.iter().any(only_tests) {
            source.tests.push(1..=usize::MAX);
        }
        source.visit_file(&file);
        Ok(source)
    }

    /// Whether this line is compiled for tests only.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    fn named(&mut self, name: &str) {
        self.names.push(name.to_owned());
        if let Some(owner) = self.owner.last() {
            self.names.push(format!("{owner}::{name}"));
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let name = signature.ident.to_string();
        self.named(&name);
        let name = match self.owner.last() {
            Some(owner) => format!("{owner}::{name}"),
            None => name,
        };
        let lines = signature.span().start().line..=block.span().end().line;
        self.functions.push(Function { name, lines });
    }

    fn within(&mut self, owner: String, visit: impl FnOnce(&mut Self)) {
        self.owner.push(owner);
        visit(self);
        self.owner.pop();
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name): (&[syn::Attribute], Option<&syn::Ident>) = match item {
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, None),
            syn::Item::Impl(item) => (&item.attrs, None),
            syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            syn::Item::Mod(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Use(item) => (&item.attrs, None),
            _ => (&[], None),
        };
        if attributes.iter().any(only_tests) {
            self.tests.push(item.span().start().line..=item.span().end().line);
            if let syn::Item::Mod(syn::ItemMod { content: None, ident, .. }) = item {
                self.test_modules.push(ident.to_string());
            }
        }
        if let Some(name) = name {
            self.named(&name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        };
        self.within(owner.unwrap_or_default(), |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => self.function(&item.sig, block),
            None => self.named(&item.sig.ident.to_string()),
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn only_tests(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return attribute.path().is_ident("test");
    };
    list.path.is_ident("cfg") && list.tokens.to_string().replace(' ', "").starts_with("test")
}

/// Lines whose column `limit` stands within a string literal, which can not be broken.
pub fn lines_cut_by_a_string(text: &str, limit: usize) -> Vec<usize> {
    let cut = |literal: &Literal| {
        let (start, end) = (literal.span().start(), literal.span().end());
        (start.line..=end.line)
            .filter(|line| *line != start.line || start.column < limit)
            .filter(|line| *line != end.line || limit <= end.column)
            .collect()
    };
    strings(text).iter().flat_map(|literal| -> Vec<usize> { cut(literal) }).collect()
}

/// Lines that begin within a string literal.
pub fn string_lines(text: &str) -> Vec<usize> {
    let literals = strings(text);
    literals.iter().flat_map(|s| s.span().start().line + 1..=s.span().end().line).collect()
}

/// Every string literal, of any kind.
fn strings(text: &str) -> Vec<Literal> {
    fn collect(tokens: TokenStream, found: &mut Vec<Literal>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => collect(group.stream(), found),
                TokenTree::Literal(literal) => found.push(literal),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    if let Ok(tokens) = text.parse() {
        collect(tokens, &mut found);
    }
    found.retain(|literal| is_string(literal, text));
    found
}

/// Whether it is written as a string; a doc comment is a string to the compiler only.
fn is_string(literal: &Literal, text: &str) -> bool {
    let start = literal.span().start();
    let line = text.lines().nth(start.line - 1).unwrap_or_default();
    let written: String = line.chars().skip(start.column).take(4).collect();
    literal.to_string().contains('"') && !written.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
struct Router;
impl Router {
    fn find(&self) -> u8 {
        1
    }
}
#[cfg(test)]
mod tests {
    #[test]
    fn finds() {}
}
"#;

    #[test]
    fn functions_carry_their_type_and_lines() {
        let source = Source::parse(SAMPLE).unwrap();
        assert_eq!(source.functions[0], Function { name: "Router::find".into(), lines: 4..=6 });
    }

    #[test]
    fn what_is_for_tests_only_is_known() {
        let source = Source::parse(SAMPLE).unwrap();
        assert!(!source.is_test(5));
        assert!(source.is_test(11));
    }

    #[test]
    fn names_are_found_alone_and_with_their_type() {
        let names = Source::parse(SAMPLE).unwrap().names;
        for name in ["Router", "find", "Router::find"] {
            assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn a_string_excuses_its_line_and_a_doc_comment_does_not() {
        let text = "/// a long line of documentation\nconst A: &str = \"abcdefghij\";\n";
        assert_eq!(lines_cut_by_a_string(text, 20), [2]);
    }
}
