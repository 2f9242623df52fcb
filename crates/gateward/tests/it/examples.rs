//! Every document under examples/ compiles, and keeps to the committed schema's editor-visible
//! form.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Authority;
use crate::harness::{GATEWARD, text};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_none_or(|kind| kind != "md")).collect()
}

#[test]
fn every_example_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    Authority::new(&certs, "ca").sign(&certs, "api", &["api.example.com"]);
    let mut checked = 0;
    for example in examples() {
        let name = example.file_name().unwrap();
        let copied = Command::new("cp").arg("-r").arg(&example).arg(dir.path()).status();
        assert!(copied.unwrap().success());
        let (code, out, err) = text(Command::new(GATEWARD).arg("check").arg(dir.path().join(name)));
        assert_eq!(code, 0, "{}: {out}{err}", name.display());
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} examples were found");
}

#[test]
fn every_example_keeps_to_the_committed_schema() {
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/config.v1.schema.json");
    let script = "import json, sys, tomllib, yaml, jsonschema, pathlib\n\
        validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n\
        bad = 0\n\
        for name in sys.argv[2:]:\n\
        \x20   text = pathlib.Path(name).read_text()\n\
        \x20   kind = name.rsplit('.', 1)[1]\n\
        \x20   data = tomllib.loads(text) if kind == 'toml' else json.loads(text) if kind == 'json' else yaml.safe_load(text)\n\
        \x20   for error in validator.iter_errors(data): bad += 1; print(name, error.json_path, error.message)\n\
        sys.exit(bad > 0)\n";
    let mut files = Vec::new();
    for example in examples() {
        match example.is_dir() {
            true => {
                files.extend(std::fs::read_dir(example).unwrap().map(|entry| entry.unwrap().path()))
            }
            false => files.push(example),
        }
    }
    let mut command = crate::harness::python("origin.py", &[]);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    command.args(["-c", script]).arg(schema).args(files);
    let (code, out, err) = text(&mut command);
    assert_eq!(code, 0, "{out}{err}");
}
