//! OpenAPI documents, read and made a schema of. What is refused has reason and cure; every
//! reference of the schema leads to a definition that is there; and an API with such a contract is
//! taken or refused with a reason.

use std::time::Duration;

use config::Memory;
use contract::{Contract, Direction};
use policy::Carry;
use serde_json::Value;
use snapshot::Inputs;

use super::documents::read;

/// Bytes of a text; longer ones teach nothing more.
const TEXT_MAX: usize = 8 << 10;

/// An OpenAPI document in YAML, which JSON is too.
pub fn run(input: &[u8]) {
    if input.len() > TEXT_MAX {
        return;
    }
    let (around, carry) = (Memory::default().file("fuzz.yaml", input), Carry::default());
    let inputs = Inputs {
        registry: &policies::REGISTRY,
        remotes: &snapshot::Nowhere,
        carry: &carry,
        around: &around,
        authorities: &Vec::new,
        ledger: None,
        wall: Duration::from_secs(1_767_323_045),
        revision: 1,
    };
    match snapshot::contract("fuzz.yaml", &inputs) {
        Ok(contract) => {
            schemas(&contract);
            api(&inputs);
        }
        Err(problems) => said(&problems),
    }
}

/// What is wrong is said, and what to do.
fn said(problems: &[base::Problem]) {
    assert!(!problems.is_empty(), "refused without a reason");
    assert!(problems.iter().any(|problem| problem.hint.is_some()), "{problems:?}");
}

fn schemas(contract: &Contract) {
    for direction in [Direction::Request, Direction::Response] {
        match contract.schema(direction, &base::Pointer::root()) {
            Ok((schema, _)) => closed(&schema, &schema),
            Err(problems) => said(&problems),
        }
    }
}

/// Every reference in `part` leads to a definition of `schema`.
fn closed(part: &Value, schema: &Value) {
    match part {
        Value::Array(items) => items.iter().for_each(|item| closed(item, schema)),
        Value::Object(members) => {
            for (key, member) in members.iter().filter(|(key, _)| *key != "enum" && *key != "const")
            {
                match member.as_str().filter(|_| key == "$ref") {
                    Some(at) => assert!(schema.pointer(&at[1..]).is_some(), "{at} of {schema}"),
                    None => closed(member, schema),
                }
            }
        }
        _ => {}
    }
}

/// An API with the contract.
fn api(inputs: &Inputs<'_>) {
    let document = "version: 1\nlisteners: [ { name: web, bind: \"127.0.0.1:0\" } ]\napis: [ { name: a, \
                    upstream: \"http://127.0.0.1:9\", contract: { file: fuzz.yaml, responses: {} } } ]\n";
    let written = read("api.yaml", document).expect("a document");
    if let Err(problems) = snapshot::compile(&written, inputs) {
        said(&problems);
    }
}
