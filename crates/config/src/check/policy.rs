//! Uses of policies: `- name: {settings}`, with `when` and `id` beside the name.

use super::{At, Checker, Name, words};
use crate::schema::POLICY;
use crate::tree::{Entry, Kind, Node};

impl<'s> Checker<'s> {
    pub(super) fn policy(&mut self, node: &Node, at: At<'_>) {
        let Kind::Map(entries) = &node.kind else {
            let written = self.written(node);
            let hint = match &node.kind {
                Kind::Text(text) => format!("write `{}: {{}}`", words::short(&text.value)),
                _ => "write its name and its settings, as in `rate: { limit: 10, window: 1s }`"
                    .into(),
            };
            let found = words::found(node, written);
            let what = format!("{} must be a policy; this is {found}", at.name);
            return self.fault(node.place, what, Some(hint));
        };
        let definition = self.schema.definition(POLICY);
        let (beside, named): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| matches!(entry.key.as_str(), "when" | "id"));
        for entry in beside {
            if let Some(schema) = definition.and_then(|d| d.get("properties")?.get(&entry.key)) {
                let at = At { name: Name::Field(&entry.key), key: Some(entry.place) };
                self.node(&entry.value, schema, at);
            }
        }
        match named.as_slice() {
            [] => {
                let hint = "write `- name: {settings}`".to_owned();
                self.fault(node.place, format!("{} names no policy", at.name), Some(hint));
            }
            [one] => self.settings(one),
            [first, more @ ..] => {
                self.settings_of_several(first, more);
            }
        }
    }

    fn settings(&mut self, entry: &Entry) {
        let name = entry.key.as_str();
        let schema = self.schema;
        let Some(mut policies) = schema.policies() else { return };
        if !policies.any(|policy| policy == name) {
            let all: Vec<&str> = schema.policies().into_iter().flatten().collect();
            let hint = match base::closest(name, all.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the policies are {}", words::quoted(&all)),
            };
            let what = format!("there is no policy `{name}`");
            return self.fault(entry.place, what, Some(hint));
        }
        let Some(settings) = schema.definition(&format!("#/$defs/policy.{name}")) else { return };
        let at = At { name: Name::Field(name), key: Some(entry.place) };
        match entry.value.kind {
            Kind::Null => {
                let none = Node { place: entry.place, kind: Kind::Map(Vec::new()) };
                self.node(&none, settings, at);
            }
            _ => self.node(&entry.value, settings, at),
        }
    }

    fn settings_of_several(&mut self, first: &Entry, more: &[&Entry]) {
        let known: Vec<&str> = self.schema.policies().into_iter().flatten().collect();
        for entry in more {
            let key = &entry.key;
            let hint = if known.contains(&key.as_str()) || known.is_empty() {
                format!("give `{key}` an item of its own: `- {key}: …`")
            } else {
                format!("if it is a setting of `{}`, indent it deeper than that", first.key)
            };
            let what = format!("`{key}` can't stand beside the policy `{}`", first.key);
            self.fault(entry.place, what, Some(hint));
        }
    }
}
