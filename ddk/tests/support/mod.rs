//! C compilers, for tests.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Every warning is an error, as the headers promise.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// A compiler, or `None` where it is not installed: then the reason goes straight to the standard error stream. Where
/// `LONGSHORE_REQUIRE_C` is set, a missing compiler is a failure.
pub(crate) fn compiler(name: &'static str) -> Option<&'static str> {
    let there = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if there {
        return Some(name);
    }
    assert!(
        std::env::var_os("LONGSHORE_REQUIRE_C").is_none(),
        "{name} is not installed"
    );
    let _ = writeln!(std::io::stderr(), "skipped: {name} is not installed");
    None
}

/// A file of this crate.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compiles with every warning on, and says what the compiler said if it minds anything.
pub(crate) fn compile(compiler: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(compiler)
        .args(STRICT)
        .arg("-I")
        .arg(file("include"))
        .args(arguments)
        .output()
        .map_err(|error| format!("{compiler} could not be run: {error}"))?;
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{compiler} {arguments:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Builds a module of these files, or `None` where the compiler is missing.
pub(crate) fn module(
    name: &'static str,
    output: &str,
    sources: &[&str],
    defines: &[&str],
) -> Option<PathBuf> {
    let compiler = compiler(name)?;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(output);
    let sources: Vec<String> = sources
        .iter()
        .map(|source| file(source).display().to_string())
        .collect();
    let shared = ["-std=c11", "-O1", "-g", "-shared", "-fPIC", "-o"];
    let arguments: Vec<&str> = shared
        .into_iter()
        .chain(path.to_str())
        .chain(defines.iter().copied())
        .chain(sources.iter().map(String::as_str))
        .collect();
    if let Err(complaint) = compile(compiler, &arguments) {
        panic!("{complaint}");
    }
    Some(path)
}
