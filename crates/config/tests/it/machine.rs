//! The real file system, through `Machine`.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::Path;

use gateward_config::{FILE_MAX, Machine, Surroundings, read};

use crate::broken::schema;

#[test]
fn a_directory_as_kubernetes_mounts_it_is_read_through_its_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("..2026_01_01")).unwrap();
    fs::write(path("..2026_01_01/a.yaml"), "version: 1\napis: [ { name: a } ]\n").unwrap();
    fs::write(path("..2026_01_01/b.yaml"), "apis: [ { name: \"${file:word}\" } ]\n").unwrap();
    fs::write(path("..2026_01_01/word"), "b\n").unwrap();
    symlink("..2026_01_01", path("..data")).unwrap();
    for name in ["a.yaml", "b.yaml", "word"] {
        symlink(format!("..data/{name}"), path(name)).unwrap();
    }
    symlink("nowhere", path("dangling.yaml")).unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();

    let written = read(folder.path(), &schema(), &Machine).unwrap_or_else(|r| panic!("{r}"));
    let names: Vec<&str> = written.document.apis.iter().map(|api| api.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(written.depends.contains(&path("word")));
}

#[test]
fn a_file_of_50_mb_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateward.yaml");
    // Sparse: it takes no room, and whoever would read it all finds nothing but zeros.
    fs::File::create(&path).unwrap().set_len(50_000_000).unwrap();
    let report = read(&path, &schema(), &Machine).unwrap_err();
    assert!(report.findings()[0].what.contains("larger than 16 MiB"), "{report}");
}

#[test]
fn a_file_without_end_is_read_no_further_than_the_limit() {
    let error = Machine.read(Path::new("/dev/zero"), FILE_MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let report = read(Path::new("/nonexistent/gateward.yaml"), &schema(), &Machine).unwrap_err();
    assert_eq!(report.findings()[0].what, "there is no such file or directory");
    assert_eq!(report.depends(), [Path::new("/nonexistent/gateward.yaml")]);
}

/// A directory one file of which may not be read.
struct Locked;

impl Surroundings for Locked {
    fn variable(&self, _: &str) -> Result<String, std::env::VarError> {
        Err(std::env::VarError::NotPresent)
    }

    fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
        match path.ends_with("b.yaml") {
            true => Err(ErrorKind::PermissionDenied.into()),
            false => Ok(b"apis: 5".to_vec()),
        }
    }

    fn list(&self, _: &Path) -> io::Result<Option<Vec<String>>> {
        Ok(Some(vec!["b.yaml".into(), "a.yaml".into()]))
    }
}

#[test]
fn an_unreadable_file_is_the_problem_and_not_what_is_missing_without_it() {
    let report = read(Path::new("d"), &schema(), &Locked).unwrap_err();
    let [finding] = report.findings() else { panic!("{report}") };
    assert_eq!(finding.at.file, Path::new("d/b.yaml"));
    assert!(finding.what.contains("permission denied"), "{report}");
}
