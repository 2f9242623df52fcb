//! Runs the policies' cases, and those of all policies in `cases/`, over the real engine.

use std::path::Path;

#[test]
fn every_case_is_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = testkit::run_cases(folder, &crate::REGISTRY);
    assert!(cases >= 3 * crate::REGISTRY.kinds().len(), "only {cases} cases were found");
}
