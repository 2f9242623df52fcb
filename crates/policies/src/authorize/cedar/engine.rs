//! Policies in Cedar: read, checked against what there is to speak of, and asked.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};

/// What there is to speak of.
pub(super) const SCHEMA: &str = include_str!("gateward.cedarschema");

/// Types of entities.
pub(super) struct Types {
    organization: EntityTypeName,
    group: EntityTypeName,
    application: EntityTypeName,
    caller: EntityTypeName,
    api: EntityTypeName,
    route: EntityTypeName,
    params: EntityTypeName,
    action: EntityTypeName,
}

impl Types {
    /// All of them; none if one can't be a name, which the tests would see. Nothing is permitted
    /// then.
    fn new() -> Option<Self> {
        let name = |text| EntityTypeName::from_str(text).ok();
        Some(Self {
            organization: name("Organization")?,
            group: name("Group")?,
            application: name("Application")?,
            caller: name("Caller")?,
            api: name("Api")?,
            route: name("Route")?,
            params: name("Params")?,
            action: name("Action")?,
        })
    }
}

static TYPES: LazyLock<Option<Types>> = LazyLock::new(Types::new);
static PARSED: LazyLock<Option<Schema>> =
    LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).ok().map(|(schema, _)| schema));

/// Policies that can be asked.
pub(super) struct Engine {
    policies: PolicySet,
    authorizer: Authorizer,
}

/// What they say of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is permitted.
    Permit,
    /// It is forbidden by these policies; by none where none permits it.
    Forbid(Vec<String>),
    /// That can't be told.
    Unknown(String),
}

/// A call, as policies see it.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub name: &'a str,
    pub by: &'a str,
    pub credential: &'a str,
    pub application: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub scopes: Vec<&'a str>,
    pub groups: Vec<&'a str>,
    /// A claim's name, and its values as texts.
    pub claims: Vec<(&'a str, Vec<String>)>,
    pub method: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub client: String,
    pub api: &'a str,
    pub route: &'a str,
    pub params: Vec<(&'a str, &'a str)>,
}

impl Engine {
    /// Reads `text`, and checks every policy in it against the schema.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub(super) fn new(text: &str) -> Result<Self, Vec<String>> {
        let policies = PolicySet::from_str(text)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if policies.policies().next().is_none() {
            return Err(vec!["there is no policy: nothing would ever be permitted".to_owned()]);
        }
        let Some(schema) = PARSED.clone() else {
            return Err(vec!["the schema can't be read".to_owned()]);
        };
        let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        let wrong: Vec<_> = result.validation_errors().map(ToString::to_string).collect();
        match wrong.is_empty() {
            true => Ok(Self { policies, authorizer: Authorizer::new() }),
            false => Err(wrong),
        }
    }

    /// What they say of this call.
    pub(super) fn ask(&self, asked: &Asked<'_>) -> Said {
        let Some(types) = &*TYPES else { return Said::Unknown("there are no types".to_owned()) };
        let (request, entities) = match asked.put(types) {
            Ok(put) => put,
            Err(why) => return Said::Unknown(why),
        };
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        // A policy that can't be evaluated is left out by the engine, also one that forbids.
        if let Some(error) = response.diagnostics().errors().next() {
            return Said::Unknown(error.to_string());
        }
        match response.decision() {
            Decision::Allow => Said::Permit,
            Decision::Deny => {
                let ids = response.diagnostics().reason();
                Said::Forbid(ids.map(|id| self.called(id)).collect())
            }
        }
    }

    /// What a policy is called: by its `@id`, or by its place.
    fn called(&self, id: &cedar_policy::PolicyId) -> String {
        let written = self.policies.annotation(id, "id");
        written.map_or_else(|| id.to_string(), str::to_owned)
    }
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

impl Asked<'_> {
    /// As the engine takes it.
    fn put(&self, types: &Types) -> Result<(Request, Entities), String> {
        let wrong = |error: &dyn std::fmt::Display| error.to_string();
        let caller = uid(&types.caller, self.name);
        let application = self.application.map(|name| uid(&types.application, name));
        let organization = self.organization.map(|name| uid(&types.organization, name));
        let groups = self.groups.iter().map(|name| uid(&types.group, name));
        let parents: HashSet<_> =
            application.into_iter().chain(organization).chain(groups).collect();
        let set = |texts: &[&str]| RestrictedExpression::new_set(texts.iter().map(|one| text(one)));
        let needed = [("name", self.name), ("by", self.by), ("credential", self.credential)];
        let perhaps = [
            ("application", self.application),
            ("organization", self.organization),
            ("subject", self.subject),
            ("issuer", self.issuer),
        ];
        let attributes = needed
            .into_iter()
            .chain(perhaps.into_iter().filter_map(|(name, value)| Some((name, value?))))
            .map(|(name, value)| (name.to_owned(), text(value)))
            .chain([("scopes".to_owned(), set(&self.scopes))]);
        let claims = self.claims.iter().map(|(name, values)| {
            let values = values.iter().map(|value| text(value));
            ((*name).to_owned(), RestrictedExpression::new_set(values))
        });
        let who = Entity::new_with_tags(caller.clone(), attributes, parents, claims)
            .map_err(|error| wrong(&error))?;
        let route = uid(&types.route, self.route);
        let api = [uid(&types.api, self.api)].into_iter().collect();
        let params = uid(&types.params, "");
        let tags = self.params.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
        let values = Entity::new_with_tags(params.clone(), [], HashSet::new(), tags)
            .map_err(|error| wrong(&error))?;
        let what = Entity::new_no_attrs(route.clone(), api);
        let context = Context::from_pairs([
            ("method".to_owned(), text(self.method)),
            ("scheme".to_owned(), text(self.scheme)),
            ("host".to_owned(), text(self.host)),
            ("path".to_owned(), text(self.path)),
            ("params".to_owned(), RestrictedExpression::new_entity_uid(params)),
            ("client".to_owned(), RestrictedExpression::new_ip(&self.client)),
        ])
        .map_err(|error| wrong(&error))?;
        let action = match self.method {
            known @ ("GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE") => known,
            _ => "other",
        };
        // The engine knows no actions but those it is told of: groups of actions stand here.
        let group = if matches!(action, "GET" | "HEAD" | "OPTIONS") { "read" } else { "write" };
        let action = uid(&types.action, action);
        let groups = [uid(&types.action, group)].into_iter().collect();
        let how = Entity::new_no_attrs(action.clone(), groups);
        let entities = Entities::from_entities([who, how, what, values], None)
            .map_err(|error| wrong(&error))?;
        let request =
            Request::new(caller, action, route, context, None).map_err(|error| wrong(&error))?;
        Ok((request, entities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked<'static> {
        Asked {
            name: "ann",
            by: "jwt",
            credential: "1",
            application: Some("shop"),
            organization: Some("acme"),
            subject: Some("ann"),
            scopes: vec!["orders:read"],
            groups: vec!["buyers"],
            claims: vec![("department", vec!["sales".into()]), ("level", vec!["3".into()])],
            method: "GET",
            scheme: "https",
            host: "api.example",
            path: "/orders/42",
            client: "192.0.2.7".into(),
            api: "orders",
            route: "one",
            params: vec![("id", "42")],
            ..Asked::default()
        }
    }

    #[test]
    fn all_there_is_can_be_spoken_of() {
        for scope in [
            "principal, action, resource",
            "principal == Caller::\"ann\", action == Action::\"GET\", resource == Route::\"one\"",
            "principal in Application::\"shop\", action, resource in Api::\"orders\"",
            "principal in Organization::\"acme\", action in Action::\"read\", resource",
            "principal in Group::\"buyers\", action, resource",
        ] {
            let engine = Engine::new(&format!("permit({scope});")).unwrap();
            assert_eq!(engine.ask(&asked()), Said::Permit, "{scope}");
        }
        for when in [
            "principal.scopes.contains(\"orders:read\")",
            "principal has subject && principal.subject == \"ann\"",
            "principal.hasTag(\"level\") && principal.getTag(\"level\").contains(\"3\")",
            "context.path like \"/orders/*\" && context.host == \"api.example\"",
            "context.method == \"GET\" && context.scheme == \"https\"",
            "context.client.isInRange(ip(\"192.0.2.0/24\"))",
            "context.params.hasTag(\"id\") && context.params.getTag(\"id\") == \"42\"",
        ] {
            let text = format!("permit(principal, action, resource) when {{ {when} }};");
            let engine = Engine::new(&text).unwrap_or_else(|wrong| panic!("{when}: {wrong:?}"));
            assert_eq!(engine.ask(&asked()), Said::Permit, "{when}");
        }
    }

    #[test]
    fn what_is_handed_in_is_what_the_schema_says() {
        let (schema, types) = (PARSED.as_ref().unwrap(), TYPES.as_ref().unwrap());
        for method in ["GET", "PROPFIND", "DELETE"] {
            let asked = Asked { method, ..asked() };
            let (request, entities) = asked.put(types).unwrap();
            let all: Vec<Entity> = entities.iter().cloned().collect();
            Entities::from_entities(all, Some(schema)).unwrap();
            Request::new(
                request.principal().unwrap().clone(),
                request.action().unwrap().clone(),
                request.resource().unwrap().clone(),
                request.context().unwrap().clone(),
                Some(schema),
            )
            .unwrap();
        }
    }

    #[test]
    fn nothing_is_permitted_unless_a_policy_does_and_none_forbids() {
        let permit = "permit(principal, action, resource in Api::\"other\");";
        assert_eq!(Engine::new(permit).unwrap().ask(&asked()), Said::Forbid(Vec::new()));
        let forbid = "permit(principal, action, resource);\n\
            @id(\"no sales\") forbid(principal, action, resource)\n\
            when { principal.hasTag(\"level\") && principal.getTag(\"level\").contains(\"3\") };";
        let said = Engine::new(forbid).unwrap().ask(&asked());
        assert_eq!(said, Said::Forbid(vec!["no sales".to_owned()]));
    }

    #[test]
    fn a_policy_that_fails_denies_even_where_another_permits() {
        let text = "permit(principal, action, resource);\n\
            forbid(principal, action, resource) when { ip(context.path).isLoopback() };";
        // Strict checking lets no such policy in; asked without it, it must still not permit.
        assert!(Engine::new(text).is_err());
        let policies = PolicySet::from_str(text).unwrap();
        let engine = Engine { policies, authorizer: Authorizer::new() };
        assert!(matches!(engine.ask(&asked()), Said::Unknown(_)));
    }

    #[test]
    fn what_is_not_there_is_found_when_it_is_written() {
        for (text, part) in [
            ("permit(principal, action, resource) when { principal.age > 3 };", "age"),
            ("permit(principal in Team::\"a\", action, resource);", "Team"),
            ("permit(principal, action == Action::\"get\", resource);", "get"),
            ("permit(principal, action, resource) when { principal.subject == \"a\" };", "subject"),
            ("permit(principal, action, resource", "unexpected"),
            ("", "no policy"),
        ] {
            let Err(wrong) = Engine::new(text) else { panic!("{text} was taken") };
            assert!(wrong.iter().any(|wrong| wrong.contains(part)), "{text}: {wrong:?}");
        }
    }
}
