//! Checks an expression against what there is to ask for, and makes it ready to run: `request.path`
//! becomes one name, `has()` of a variable becomes a comparison with null, patterns are compiled.

use base::closest;
use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators,
};

use super::BadCondition;
use super::expression::When;
use super::language::Pattern;
use super::vocabulary::{
    FUNCTIONS, Fact, Kind, RESPONSE, ROOTS, TYPES, Variable, fields, is_root, variable,
};
use crate::message::Name;

/// What an expression needs to be evaluated.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The variables it names, each once.
    pub(super) variables: Vec<&'static Variable>,
    /// The header names it asks for; none where it may ask for any.
    pub(super) headers: Option<Vec<Name>>,
    /// The same of the response's.
    pub(super) response: Option<Vec<Name>>,
    /// The claims it asks for; none where it may ask for any.
    pub(super) claims: Option<Vec<String>>,
    /// The patterns it matches with, by number.
    pub(super) patterns: Vec<Pattern>,
}

/// What stands before the number in the name a pattern is found by. Nobody can write a name with a
/// space.
pub(super) const PATTERN_PREFIX: &str = "pattern ";

/// Most levels of an expression's tree. Chains of `&&` and `||` are balanced and count little.
const DEPTH: usize = 64;

/// Checks `expression`, which is evaluated at `when`, and makes it ready: what it needs, and what
/// it gives.
pub(super) fn check(expression: &mut IdedExpr, when: When) -> Result<(Needs, Kind), BadCondition> {
    let mut walk = Walk { needs: Needs::none(), when, locals: Vec::new(), depth: 0 };
    let kind = walk.visit(expression)?;
    Ok((walk.needs, kind))
}

impl Needs {
    fn none() -> Self {
        let none = || Some(Vec::new());
        Self { headers: none(), response: none(), claims: Some(Vec::new()), ..Self::default() }
    }
}

struct Walk {
    needs: Needs,
    when: When,
    /// Names of the loops around.
    locals: Vec<String>,
    depth: usize,
}

type Checked = Result<Kind, BadCondition>;

impl Walk {
    fn visit(&mut self, node: &mut IdedExpr) -> Checked {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(BadCondition::new(format!("the expression is nested over {DEPTH} deep"))
                .hint("split it over several policies"));
        }
        let kind = match &mut node.expr {
            Expr::Literal(literal) => Ok(literal_kind(literal)),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(_) => self.select(node),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(it) => self.comprehension(it),
            Expr::List(list) => self.all(&mut list.elements).map(|()| Kind::List),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.visit(&mut entry.key)?;
                        self.visit(&mut entry.value)?;
                    }
                }
                Ok(Kind::Map)
            }
            Expr::Struct(_) => Err(BadCondition::new("conditions can't build messages")
                .hint("use a map, as in `{\"a\": 1}`")),
            Expr::Unspecified => Err(BadCondition::new("this is no expression")),
        };
        self.depth -= 1;
        kind
    }

    fn all(&mut self, nodes: &mut [IdedExpr]) -> Result<(), BadCondition> {
        nodes.iter_mut().try_for_each(|node| self.visit(node).map(drop))
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    fn ident(&self, name: &str) -> Checked {
        if self.is_local(name) {
            return Ok(Kind::Unknown);
        }
        if TYPES.contains(&name) {
            return Ok(Kind::Other);
        }
        if name == RESPONSE && self.when == When::Request {
            return Err(BadCondition::new("there is no response yet to ask for")
                .hint("ask for the request, the caller, the route or the connection"));
        }
        if is_root(name) {
            let fields: Vec<_> = fields(name).collect();
            return Err(BadCondition::new(format!("`{name}` can't stand alone"))
                .hint(format!("name what of it is meant: {}", listed(name, &fields))));
        }
        let unknown = BadCondition::new(format!("there is no `{name}` to ask for"));
        Err(match closest(name, ROOTS.iter().copied()) {
            Some(near) => unknown.hint(format!("did you mean `{near}`?")),
            None => unknown.hint(format!("there are {}; texts stand in quotes", ROOTS.join(", "))),
        })
    }

    /// `a.b`, and `has(a.b)`.
    fn select(&mut self, node: &mut IdedExpr) -> Checked {
        let Expr::Select(select) = &mut node.expr else { return Ok(Kind::Unknown) };
        if let Some(root) = self.root(&select.operand) {
            let (variable, test) = (self.variable(root, &select.field)?, select.test);
            node.expr = match (test, variable.nullable) {
                (true, true) => {
                    self.need(variable);
                    not_null(variable.name)
                }
                (true, false) => Expr::Literal(LiteralValue::Boolean(true.into())),
                (false, _) => {
                    self.need(variable);
                    match variable.fact {
                        Fact::Headers => self.needs.headers = None,
                        Fact::ResponseHeaders => self.needs.response = None,
                        Fact::CallerClaims => self.needs.claims = None,
                        _ => {}
                    }
                    Expr::Ident(variable.name.to_owned())
                }
            };
            return Ok(if test { Kind::Bool } else { variable.kind });
        }
        let SelectExpr { operand, field, test } = select;
        let kind = match self.named(operand, field)? {
            Some(kind) => kind,
            None => self.visit(operand)?,
        };
        Ok(match kind {
            _ if *test => Kind::Bool,
            Kind::Map => Kind::Text,
            _ => Kind::Unknown,
        })
    }

    /// The root of variables that `node` names.
    fn root<'n>(&self, node: &'n IdedExpr) -> Option<&'n str> {
        match &node.expr {
            Expr::Ident(name) if name == RESPONSE && self.when == When::Request => None,
            Expr::Ident(name) if is_root(name) && !self.is_local(name) => Some(name),
            _ => None,
        }
    }

    fn variable(&self, root: &str, field: &str) -> Result<&'static Variable, BadCondition> {
        variable(root, field).ok_or_else(|| {
            let fields: Vec<_> = fields(root).collect();
            let unknown = BadCondition::new(format!("there is no `{root}.{field}`"));
            match closest(field, fields.iter().copied()) {
                Some(near) => unknown.hint(format!("did you mean `{root}.{near}`?")),
                None => unknown.hint(format!("there are {}", listed(root, &fields))),
            }
        })
    }

    fn need(&mut self, variable: &'static Variable) {
        if !self.needs.variables.iter().any(|known| known.fact == variable.fact) {
            self.needs.variables.push(variable);
        }
    }

    /// Where `node` is a message's headers or `caller.claims` and `name` the one that is asked for:
    /// notes it, makes the node ready, and gives the node's kind.
    fn named(&mut self, node: &mut IdedExpr, name: &str) -> Result<Option<Kind>, BadCondition> {
        if self.header(node, name)? {
            return Ok(Some(Kind::Map));
        }
        let Expr::Select(select) = &node.expr else { return Ok(None) };
        if self.root(&select.operand) != Some("caller") || select.field != "claims" {
            return Ok(None);
        }
        let variable = self.variable("caller", "claims")?;
        self.need(variable);
        node.expr = Expr::Ident(variable.name.to_owned());
        if let Some(names) = &mut self.needs.claims
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
        Ok(Some(Kind::Values))
    }

    /// The same for headers alone: true if that is what `node` is.
    fn header(&mut self, node: &mut IdedExpr, name: &str) -> Result<bool, BadCondition> {
        let Expr::Select(select) = &node.expr else { return Ok(false) };
        let of = match self.root(&select.operand) {
            Some(of @ ("request" | RESPONSE)) if select.field == "headers" => of.to_owned(),
            _ => return Ok(false),
        };
        let Some(wanted) = Name::new(name) else {
            return Err(BadCondition::new(format!("`{name}` can't be a header's name")));
        };
        if wanted.as_str() != name {
            return Err(BadCondition::new(format!(
                "headers have lower-case names here, not `{name}`"
            ))
            .hint(format!("write `{of}.headers[\"{}\"]`", wanted.as_str())));
        }
        let variable = self.variable(&of, "headers")?;
        self.need(variable);
        node.expr = Expr::Ident(variable.name.to_owned());
        let needs = &mut self.needs;
        if let Some(names) = if of == RESPONSE { &mut needs.response } else { &mut needs.headers }
            && !names.contains(&wanted)
        {
            names.push(wanted);
        }
        Ok(true)
    }

    fn call(&mut self, call: &mut CallExpr) -> Checked {
        match (call.func_name.as_str(), call.target.as_deref_mut(), call.args.as_mut_slice()) {
            (operators::INDEX, None, [of, at]) => {
                let named = literal_text(at).map(|name| self.named(of, &name)).transpose()?;
                let kind = match named.flatten() {
                    Some(kind) => kind,
                    None => {
                        self.visit(at)?;
                        self.visit(of)?
                    }
                };
                return Ok(if kind == Kind::Map { Kind::Text } else { Kind::Unknown });
            }
            (operators::IN, None, [what, of]) => {
                let named = literal_text(what).map(|name| self.named(of, &name)).transpose()?;
                if named.flatten().is_none() {
                    self.visit(what)?;
                    self.visit(of)?;
                }
                return Ok(Kind::Bool);
            }
            ("matches", Some(_), [_]) | ("matches", None, [_, _]) => return self.matches(call),
            _ => {}
        }
        self.known_function(&call.func_name)?;
        let mut kinds = Vec::new();
        for node in call.target.as_deref_mut().into_iter().chain(call.args.iter_mut()) {
            kinds.push(self.visit(node)?);
        }
        Ok(result(&call.func_name, &kinds))
    }

    fn known_function(&self, name: &str) -> Result<(), BadCondition> {
        let operator =
            name.contains('_') && name != "exists_one" || name.starts_with('@') || name == "!_";
        if operator || FUNCTIONS.iter().any(|(known, _)| *known == name) {
            return Ok(());
        }
        let unknown = BadCondition::new(format!("there is no function `{name}`"));
        let names = FUNCTIONS.iter().map(|(known, _)| *known);
        Err(match closest(name, names.clone()) {
            Some(near) => unknown.hint(format!("did you mean `{near}`?")),
            None => unknown.hint(format!("there are {}", names.collect::<Vec<_>>().join(", "))),
        })
    }

    /// `text.matches("pattern")`: compiled here, so that a request costs no compiling and none can
    /// bring a pattern.
    fn matches(&mut self, call: &mut CallExpr) -> Checked {
        if call.target.is_none() {
            call.target = Some(Box::new(call.args.remove(0)));
        }
        let (Some(target), [pattern]) = (call.target.as_deref_mut(), call.args.as_mut_slice())
        else {
            return Ok(Kind::Bool);
        };
        let Some(text) = literal_text(pattern) else {
            return Err(BadCondition::new("the pattern of `matches` must be a literal")
                .hint("write it in quotes, as in `request.path.matches(\"^/v[0-9]+/\")`"));
        };
        self.needs.patterns.push(Pattern::new(&text)?);
        let number = self.needs.patterns.len() - 1;
        pattern.expr = Expr::Ident(format!("{PATTERN_PREFIX}{number}"));
        self.visit(target)?;
        Ok(Kind::Bool)
    }

    fn comprehension(&mut self, it: &mut ComprehensionExpr) -> Checked {
        self.visit(&mut it.iter_range)?;
        let result = self.visit(&mut it.accu_init)?;
        for name in [Some(&it.iter_var), it.iter_var2.as_ref()].into_iter().flatten() {
            if is_root(name) || TYPES.contains(&name.as_str()) {
                return Err(BadCondition::new(format!("`{name}` has a meaning already"))
                    .hint("give the loop's variable another name, as in `x`"));
            }
        }
        let before = self.locals.len();
        self.locals.extend([it.iter_var.clone(), it.accu_var.clone()]);
        self.locals.extend(it.iter_var2.clone());
        self.visit(&mut it.loop_cond)?;
        self.visit(&mut it.loop_step)?;
        self.visit(&mut it.result)?;
        self.locals.truncate(before);
        // `exists_one` counts and compares at the end.
        Ok(if matches!(it.result.expr, Expr::Call(_)) { Kind::Bool } else { result })
    }
}

/// What `function` gives for arguments of these kinds.
fn result(function: &str, arguments: &[Kind]) -> Kind {
    match function {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::EQUALS
        | operators::NOT_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::NOT_STRICTLY_FALSE
        | "startsWith"
        | "endsWith"
        | "contains"
        | "bool" => Kind::Bool,
        "size" | "int" | "uint" | "double" => Kind::Number,
        "string" | "lowerAscii" | "upperAscii" => Kind::Text,
        "bytes" | "type" => Kind::Other,
        "dyn" => arguments.first().copied().unwrap_or(Kind::Unknown),
        operators::ADD => arguments.first().copied().unwrap_or(Kind::Unknown),
        operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::NEGATE => Kind::Number,
        operators::CONDITIONAL => match arguments {
            [_, a, b] if a == b => *a,
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

fn literal_kind(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
        LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Other,
    }
}

fn literal_text(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

fn not_null(variable: &str) -> Expr {
    let node = |expr| IdedExpr { id: 0, expr };
    Expr::Call(CallExpr {
        func_name: operators::NOT_EQUALS.to_owned(),
        target: None,
        args: vec![node(Expr::Ident(variable.to_owned())), node(Expr::Literal(LiteralValue::Null))],
    })
}

fn listed(root: &str, fields: &[&str]) -> String {
    fields.iter().map(|field| format!("{root}.{field}")).collect::<Vec<_>>().join(", ")
}
