//! Holds the rules ledger against the tests.

use crate::citations::{self, Citation};
use crate::{codes, links, seeds, tables};
use longshore_drydock::rules::{Entry, FAMILIES, Held, parse};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Counts, lists and checks; prints what is wrong.
pub(crate) fn check(root: &Path) -> ExitCode {
    let (citations, strays) = citations::find(root);
    let mut said: Vec<String> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for (family, _) in FAMILIES {
        match std::fs::read_to_string(path(root, family)) {
            Ok(text) => match parse(&text) {
                Ok(entries) => {
                    said.push(count(family, &entries));
                    wrong.extend(
                        entries
                            .iter()
                            .filter_map(|entry| claim_error(root, entry, &citations)),
                    );
                    open.extend(numbers(&entries, |held| held == Held::Open));
                    known.extend(entries.iter().map(|entry| entry.number.to_owned()));
                }
                Err(malformed) => wrong.push(format!("{family}: {malformed}")),
            },
            Err(error) => wrong.push(format!("{family}: {error}")),
        }
    }
    said.push(format!("\nopen: {}", wrap(&open)));
    for citation in citations
        .iter()
        .filter(|citation| !known.contains(&citation.number))
    {
        wrong.push(format!(
            "{}: cites {}, which is no rule",
            place(root, citation),
            citation.number
        ));
    }
    for stray in strays {
        let file = stray
            .file
            .strip_prefix(root)
            .unwrap_or(&stray.file)
            .display()
            .to_string();
        wrong.push(format!(
            "{file}:{}: `Proves:` does not stand above a test",
            stray.line
        ));
    }
    wrong.extend(seeds::wrong(root, &citations));
    wrong.extend(codes::untested(root));
    wrong.extend(links::dead(root));
    wrong.extend(tables::stale(root));
    if let Err(error) = print(&said, &mut io::stdout().lock()) {
        wrong.push(format!("standard output cannot be written: {error}"));
    }
    for line in &wrong {
        // If it cannot be told, the exit code still says that something is wrong.
        let _ = writeln!(io::stderr(), "xtask rules: {line}");
    }
    if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints lines. A reader who has gone away, as `head` does, is no error.
fn print(lines: &[String], out: &mut impl Write) -> io::Result<()> {
    let printed = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Turns `open` into `test` where a test cites the rule.
pub(crate) fn update(root: &Path) -> io::Result<()> {
    let (citations, _) = citations::find(root);
    for (family, _) in FAMILIES {
        let path = path(root, family);
        let text = std::fs::read_to_string(&path)?;
        let mut number = "";
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines() {
            if !line.starts_with(' ') {
                number = line;
            }
            let proven = line == "  held: open" && citations.iter().any(|citation| citation.number == number);
            lines.push(if proven { "  held: test" } else { line });
        }
        std::fs::write(&path, lines.join("\n") + "\n")?;
    }
    Ok(())
}

fn path(root: &Path, family: &str) -> std::path::PathBuf {
    root.join("drydock/rules").join(format!("{family}.txt"))
}

fn count(family: &str, entries: &[Entry<'_>]) -> String {
    let held = |is: fn(&Held<'_>) -> bool| entries.iter().filter(|entry| is(&entry.held)).count();
    format!(
        "{family} {} rules: {} test, {} type, {} n/a, {} later, {} open",
        entries.len(),
        held(|held| matches!(held, Held::Test)),
        held(|held| matches!(held, Held::Type(_))),
        held(|held| matches!(held, Held::NotApplicable(_))),
        held(|held| matches!(held, Held::Later(_))),
        held(|held| matches!(held, Held::Open)),
    )
}

fn numbers(entries: &[Entry<'_>], is: impl Fn(Held<'_>) -> bool) -> Vec<String> {
    entries
        .iter()
        .filter(|entry| is(entry.held))
        .map(|entry| entry.number.to_owned())
        .collect()
}

/// What is wrong with how a rule says that it is held.
fn claim_error(root: &Path, entry: &Entry<'_>, citations: &[Citation]) -> Option<String> {
    let number = entry.number;
    let cited = citations.iter().find(|citation| citation.number == number);
    match (entry.held, cited) {
        (Held::Test, None) => Some(format!(
            "{number}: the ledger claims a test, but no test cites it"
        )),
        (Held::Open, Some(citation)) => Some(format!(
            "{number}: the ledger says open, but {} proves it",
            place(root, citation)
        )),
        (Held::Type(file), _) => {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            let shown = text.contains("compile_fail");
            (!shown).then(|| format!("{number}: {file} has no compile-fail test"))
        }
        _ => None,
    }
}

fn place(root: &Path, citation: &Citation) -> String {
    let file = citation.file.strip_prefix(root).unwrap_or(&citation.file);
    format!("{}:{}", file.display(), citation.line)
}

fn wrap(numbers: &[String]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    numbers
        .chunks(12)
        .map(|line| line.join(", "))
        .collect::<Vec<_>>()
        .join(",\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(io::ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_goes_away_is_no_error() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert!(print(&lines, &mut Closed(io::ErrorKind::BrokenPipe)).is_ok());
        assert!(print(&lines, &mut Closed(io::ErrorKind::StorageFull)).is_err());
        let mut out = Vec::new();
        print(&lines, &mut out).unwrap();
        assert_eq!(out, b"a\nb\n");
    }
}
