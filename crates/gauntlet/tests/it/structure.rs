//! What ARCHITECTURE.md says must never be, as far as a test can see it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// No file of ours is longer; a longer one has more than one job.
const MAX_LINES: usize = 600;

/// What the benchmarks use: the store to write players, the server for the floors' network and for
/// the parts that are measured alone.
const BENCH_USES: &[&str] =
    &["gauntlet-domain", "gauntlet-proto", "gauntlet-server", "gauntlet-store", "gauntlet-testkit"];

/// What the binary joins.
const BINARY_USES: &[&str] =
    &["gauntlet-domain", "gauntlet-lab", "gauntlet-proto", "gauntlet-server", "gauntlet-store"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Every Rust file of ours, without generated ones.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() && !entry.ends_with("generated") && !entry.ends_with("target") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    assert!(found.len() > 50, "the sources were found");
    found
}

#[test]
fn dependencies_point_one_way() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    let allowed: &[(&str, &[&str])] = &[
        ("gauntlet-domain", &[]),
        ("gauntlet-proto", &[]),
        ("gauntlet-store", &["gauntlet-domain"]),
        ("gauntlet-server", &["gauntlet-domain", "gauntlet-proto", "gauntlet-store"]),
        ("gauntlet-lab", &["gauntlet-domain", "gauntlet-proto"]),
        ("gauntlet", BINARY_USES),
        ("gauntlet-testkit", &[]),
        ("gauntlet-bench", BENCH_USES),
    ];
    let known: BTreeSet<&str> = allowed.iter().map(|(name, _)| *name).collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let may = allowed.iter().find(|(allowed, _)| *allowed == name);
        let (_, may) = may.unwrap_or_else(|| panic!("{name} is not in the list: where does it stand?"));
        for dependency in &package.dependencies {
            let on = dependency.name.as_str();
            assert_ne!(on, "gauntlet-bench", "{name} must not depend on a benchmark");
            if dependency.kind == DependencyKind::Normal && known.contains(on) {
                assert!(may.contains(&on), "{name} must not depend on {on}");
            }
        }
    }
    assert_eq!(metadata.packages.len(), known.len());
}

#[test]
fn files_have_one_job() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|path| (fs::read_to_string(&path).expect("UTF-8").lines().count(), path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
}

#[test]
fn sql_stands_in_the_store_only() {
    let statements = ["SELECT ", "INSERT INTO", "UPDATE player", "DELETE FROM", "CREATE TABLE"];
    for path in sources() {
        let inside = |part: &str| path.components().any(|component| component.as_os_str() == part);
        // A benchmark's floor is a database without our tables, and it reads PostgreSQL's own views.
        let about_no_table_of_ours = inside("gauntlet-testkit") || inside("gauntlet-bench");
        // The lab's collector reads PostgreSQL's own views, too.
        let views_only = path.ends_with("gauntlet-lab/src/collect/postgres.rs");
        if inside("gauntlet-store") || about_no_table_of_ours || views_only || path.ends_with("structure.rs")
        {
            continue;
        }
        let source = fs::read_to_string(&path).expect("UTF-8");
        // The end of a longer word, as in `BATCH_SELECT`, is none.
        let stands_alone = |at: usize| !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        for statement in statements {
            let found = source.match_indices(statement).any(|(at, _)| stands_alone(at));
            assert!(!found, "{statement:?} in {}", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_be_written() {
    for path in sources() {
        if path.ends_with("structure.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).expect("UTF-8");
        for word in ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"] {
            assert!(!source.contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn a_plain_build_has_no_crash_points() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.expect("cargo metadata");
    let mut offered = 0;
    for package in &metadata.packages {
        offered += usize::from(package.features.contains_key("crash-points"));
        let asked = |features: &[String]| features.iter().any(|feature| feature.ends_with("crash-points"));
        let by_default = package.features.get("default").is_some_and(|features| asked(features));
        let by_dependency = package.dependencies.iter().any(|dependency| asked(&dependency.features));
        assert!(!by_default && !by_dependency, "{} asks for crash points", package.name);
    }
    assert_eq!(offered, 3, "gauntlet-store, gauntlet-server and gauntlet pass the feature on");
}

/// In a release, the flag is unknown and the names are not in the binary.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[test]
fn a_plain_release_has_neither_flag_nor_names() {
    let binary = env!("CARGO_BIN_EXE_gauntlet");
    let ended = std::process::Command::new(binary).args(["serve", "--crash-at", "claim.begun"]).output();
    assert_eq!(ended.expect("the binary starts").status.code(), Some(1));
    let bytes = fs::read(binary).expect("the binary");
    for name in ["crash-at", "claim.begun", "batch.gathered", "recovery.taken-over"] {
        assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name} is there");
    }
}
