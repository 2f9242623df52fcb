//! What crates depend on: the edges between our own, one version of everybody else's, and what
//! cargo-deny knows: licences, bans, sources, advisories.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Finding;
use super::exceptions::VERSIONS;
use super::tree::Tree;
use crate::Result;
use crate::command::{cargo, output};
use crate::edges::{EDGES, Edges};
use crate::needs;

/// `cargo metadata`, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None: its code uses it; else `dev` or `build`.
    kind: Option<String>,
}

impl Metadata {
    fn read() -> Result<Self> {
        let json =
            output(cargo().args(["metadata", "--format-version=1", "--locked", "--no-deps"]))?;
        serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))
    }
}

/// Our crates depend on each other as `xtask/src/edges.rs` says.
pub fn edges(_: &Tree) -> Result<Vec<Finding>> {
    let metadata = Metadata::read()?;
    let ours: Vec<&Package> =
        metadata.packages.iter().filter(|p| metadata.workspace_members.contains(&p.id)).collect();
    Ok(edges_of(&ours, EDGES))
}

fn edges_of(ours: &[&Package], table: &[Edges]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in ours {
        let manifest = package.manifest_path.rsplit('/').take(3).collect::<Vec<_>>();
        let manifest = manifest.into_iter().rev().collect::<Vec<_>>().join("/");
        let Some(edges) = table.iter().find(|edges| edges.package == package.name) else {
            let what = format!("`{}` is not in xtask/src/edges.rs: add its line", package.name);
            findings.push(Finding::new(manifest, 0, what));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let for_tests = dependency.kind.as_deref() == Some("dev");
            let allowed =
                edges.uses.contains(&name) || for_tests && edges.tests_use.contains(&name);
            if ours.iter().any(|package| package.name == name) && !allowed {
                let tests = if for_tests { "the tests of " } else { "" };
                let what = format!(
                    "{tests}`{}` may not depend on `{name}`: move the code, or write an ADR and add the edge to xtask/src/edges.rs",
                    package.name
                );
                findings.push(Finding::new(manifest.clone(), 0, what));
            }
        }
    }
    findings
}

/// One version of every dependency that is built into the product or its build.
pub fn versions(_: &Tree) -> Result<Vec<Finding>> {
    // `cargo metadata` also lists optional dependencies nobody turned on; `cargo tree` does not.
    let packages = output(cargo().args([
        "tree",
        "--workspace",
        "--locked",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]))?;
    Ok(duplicates(&packages, VERSIONS))
}

/// `packages` has a name and a version on each line.
fn duplicates(packages: &str, exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in packages.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version.trim_start_matches('v'));
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    let excepted = |name: &str| exceptions.iter().any(|(excepted, _)| *excepted == name);
    let double = versions.iter().filter(|(name, _)| !excepted(name)).map(|(name, versions)| {
        let versions = versions.iter().copied().collect::<Vec<_>>().join(", ");
        let what = format!(
            "`{name}` is built in versions {versions}: `cargo tree -i {name}@VERSION` shows who \
             asks; if it can't be helped, list it with the reason in tidy/exceptions.rs"
        );
        Finding::new("Cargo.lock", 0, what)
    });
    let gone = exceptions.iter().filter(|(name, _)| !versions.contains_key(name));
    let gone = gone.map(|(name, _)| {
        let what = format!("`{name}` has one version now: take it off the exceptions");
        Finding::new("xtask/src/tidy/exceptions.rs", 0, what)
    });
    double.chain(gone).collect()
}

/// Licences, bans, sources and advisories, by `deny.toml`.
pub fn deny(_: &Tree) -> Result<Vec<Finding>> {
    let deny = needs::cargo_deny()?;
    let mut findings = Vec::new();
    let offline = output(cargo_deny(&deny).args(["check", "bans", "licenses", "sources"]));
    if let Err(error) = offline {
        findings.push(Finding::new("deny.toml", 0, error));
    }
    match output(cargo_deny(&deny).args(["check", "advisories"])) {
        Ok(_) => {}
        Err(error) if error.contains("failed to fetch advisory database") => println!(
            "tidy: warning: advisories are NOT checked: the advisory database could not be fetched"
        ),
        Err(error) => findings.push(Finding::new("Cargo.lock", 0, error)),
    }
    Ok(findings)
}

fn cargo_deny(program: &std::path::Path) -> std::process::Command {
    let mut command = crate::command::command(&program.to_string_lossy());
    command.args(["--log-level", "error", "--color", "never"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: &str) -> Package {
        serde_json::from_value(serde_json::json!({
            "id": name, "name": name, "manifest_path": "a/Cargo.toml",
            "dependencies": [{"name": dependency, "kind": (kind != "normal").then_some(kind)}],
        }))
        .unwrap()
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_found() {
        let table = [
            Edges { package: "a", uses: &[], tests_use: &["b"] },
            Edges { package: "b", uses: &["a"], tests_use: &[] },
        ];
        let (to_b, b) = (package("a", "b", "normal"), package("b", "a", "normal"));
        let found = edges_of(&[&to_b, &b], &table);
        assert!(found.len() == 1 && found[0].what.contains("`a` may not depend on `b`"));
        let (to_b, c) = (package("a", "b", "dev"), package("c", "serde", "normal"));
        let found = edges_of(&[&to_b, &b, &c], &table);
        assert!(found.len() == 1 && found[0].what.contains("`c` is not in"), "{found:?}");
    }

    #[test]
    fn two_versions_are_found_unless_excepted_and_an_exception_must_be_needed() {
        let (two, one) = ("a v1.0.0\nx v1.0.0\nx v2.0.0 (*)\nx v2.0.0\n", "a v1.0.0\nx v2.0.0\n");
        for (packages, exceptions, count) in [
            (two, &[][..], 1),
            (two, &[("x", "why")][..], 0),
            (one, &[][..], 0),
            (one, &[("x", "why")][..], 1),
        ] {
            assert_eq!(duplicates(packages, exceptions).len(), count, "{packages}{exceptions:?}");
        }
    }
}
