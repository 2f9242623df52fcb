//! Contracts, read: what comes of documents of each version.

use std::collections::BTreeMap;

use base::{Pointer, Problems};
use gateward_contract::{Contract, Direction, Files, In, Style};
use policy::Carry;
use serde_json::Value;

mod lowering;
mod references;
mod versions;

/// The contract in the first of `files`, each a name and a text.
fn read(files: &[(&str, &str)]) -> Result<Contract, Problems> {
    let mut world = testkit::World::default();
    for (name, text) in files {
        world.files.insert((*name).to_owned(), text.as_bytes().to_vec());
    }
    let elsewhere = BTreeMap::from([("https://example.com/common".into(), "common.yaml".into())]);
    let at = Pointer::root();
    let files = Files::read(files[0].0, &elsewhere, &at, (&world, &Carry::default()));
    Contract::read(files.map_err(|problem| vec![problem])?, &at)
}

/// The schema of all it takes or gives.
fn schema(contract: &Contract, direction: Direction) -> Value {
    let at = Pointer::root();
    contract.schema(direction, &at).expect("a schema").0
}

/// What is said of it.
fn said(problems: &Problems) -> String {
    problems.iter().map(|problem| format!("{}\n", problem.what)).collect()
}

#[test]
fn what_a_contract_says_of_an_operation() {
    let contract = read(&[("a.yaml", include_str!("orders.yaml"))]).unwrap();
    assert_eq!((contract.title.as_str(), contract.version.as_str()), ("Orders", "2"));
    assert_eq!(contract.servers, ["https://api.example.com/v2"]);
    let [list, add] = contract.operations.as_slice() else { panic!("{:?}", contract.operations) };
    assert_eq!((list.name().as_str(), add.name().as_str()), ("list", "POST /orders/{id}"));
    assert_eq!(add.path_names(), ["id"]);
    let told: Vec<_> = list
        .parameters
        .iter()
        .map(|one| (one.place, one.name.as_str(), one.style, one.explode, one.required))
        .collect();
    assert_eq!(
        told,
        [
            (In::Path, "id", Style::Simple, false, true),
            (In::Query, "page", Style::Form, true, true),
            (In::Query, "where", Style::Deep, true, false),
            (In::Header, "x-a", Style::Json, false, false),
        ],
        "the operation's own `page` takes the place of the path's, `Accept` is described elsewhere"
    );
    let body = add.body.as_ref().unwrap();
    let types: Vec<&str> = body.contents.iter().map(|content| content.media.as_str()).collect();
    assert_eq!((body.required, types), (true, vec!["application/json", "text/*"]));
}
