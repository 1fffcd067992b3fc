//! What the documents tell people to type.
#![allow(clippy::unwrap_used)] // What reads the documents is a test too.

mod support;

use longshore_drydock::broken::gallery;
use longshore_drydock::replay::ReplayCode;
use std::fs;
use std::path::{Path, PathBuf};
use support::longshore;

/// The target in `docs/c-provider.md` is the reader's own module; `ddk/tests/provider.rs` builds and checks it.
const OWN_MODULE: &str = "flaw";

/// Everything below a directory that ends like this.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path, ending),
            false => vec![path],
        })
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

/// Every replay code in a text, by itself or inside of a command.
fn codes(text: &str) -> Vec<ReplayCode> {
    text.split(|c: char| c.is_whitespace() || c == '`')
        .filter_map(|word| word.trim_end_matches(['.', ',', ';']).parse().ok())
        .collect()
}

/// The documents and the help, each with its codes.
fn told() -> Vec<(String, ReplayCode)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = files(&root.join("docs"), ".md");
    paths.extend(["README.md", "ARCHITECTURE.md"].map(|name| root.join(name)));
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    let mut texts: Vec<_> = paths.into_iter().map(read).collect();
    texts.push((
        "longshore check --help".to_owned(),
        longshore(&["check", "--help"]).out,
    ));
    let coded = |(place, text): (String, String)| {
        let codes = codes(&text).into_iter();
        codes.map(move |code| (place.clone(), code))
    };
    texts.into_iter().flat_map(coded).collect()
}

#[test]
fn every_replay_code_that_is_told_can_be_run() {
    let told = told();
    let place_of = |end: &str| told.iter().any(|(place, _)| place.ends_with(end));
    assert!(
        place_of("README.md") && place_of("seeds.md") && place_of("--help"),
        "{told:?}"
    );
    let broken: Vec<String> = gallery().into_iter().map(|exhibit| exhibit.target.name).collect();
    for (place, code) in told.iter().filter(|(_, code)| code.target != OWN_MODULE) {
        let ran = longshore(&["check", "--replay", &code.to_string()]);
        // What is broken on purpose is told of to be seen failing, all else to be seen well.
        let expected = i32::from(broken.contains(&code.target));
        assert_eq!(ran.code, Some(expected), "{place}: {code}: {}", ran.err);
    }
}
