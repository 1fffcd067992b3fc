//! The page of the five documents: it speaks of each of their rules, and names the test that proves it.

use crate::citations::Citation;
use crate::links::links;
use longshore_drydock::rules::{FAMILIES, parse};
use std::path::Path;

const PAGE: &str = "docs/seeds.md";

/// What is wrong with the page, in words.
pub(crate) fn wrong(root: &Path, citations: &[Citation]) -> Vec<String> {
    let path = root.join(PAGE);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let folder = path.parent().unwrap_or(root);
    let mut wrong = missing(&text);
    for (index, line) in text.lines().enumerate() {
        let why = row(line).and_then(|(number, test)| why_unproven(folder, number, test, citations));
        wrong.extend(why.map(|why| format!("{PAGE}:{}: {why}", index + 1)));
    }
    wrong
}

/// The page must have a row for every rule that comes from the documents.
fn missing(text: &str) -> Vec<String> {
    let rows: Vec<&str> = text.lines().filter_map(row).map(|(number, _)| number).collect();
    let (_, ledger) = FAMILIES[0];
    let entries = parse(ledger).unwrap_or_default();
    let missing = entries.iter().filter(|entry| !rows.contains(&entry.number));
    missing
        .map(|entry| format!("{PAGE} does not speak of {}", entry.number))
        .collect()
}

/// The first and the last cell of a line, if it is the row of a rule.
fn row(line: &str) -> Option<(&str, &str)> {
    let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (number, rest) = cells.split_once('|')?;
    let last = rest.rsplit('|').next()?;
    let number = number.trim();
    number.starts_with("SEED-").then_some((number, last.trim()))
}

/// Why the last cell of a row does not show what holds the rule.
fn why_unproven(folder: &Path, number: &str, cell: &str, citations: &[Citation]) -> Option<String> {
    if cell.starts_with("later:") {
        return None;
    }
    let Some((words, target)) = links(cell).next() else {
        return Some(format!("{number} has no link to a test"));
    };
    let path = folder.join(target);
    if words.starts_with("type:") {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let shown = text.contains("compile_fail");
        return (!shown).then(|| format!("{number}: {target} has no compile-fail test"));
    }
    let test = words.trim_matches('`');
    let proves = |citation: &Citation| {
        citation.number == number && citation.test == test && is_same(&citation.file, &path)
    };
    (!citations.iter().any(proves)).then(|| format!("{number}: {target} has no test {test} that cites it"))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_number_and_its_last_cell() {
        assert_eq!(
            row("| SEED-1 | a | b | [`c`](d.rs) |"),
            Some(("SEED-1", "[`c`](d.rs)"))
        );
        assert_eq!(row("| rule | statement | test |"), None);
        assert_eq!(row("SEED-1 is a rule"), None);
    }

    #[test]
    fn a_rule_without_a_row_is_missing() {
        let (_, ledger) = FAMILIES[0];
        let all = parse(ledger).unwrap_or_default().len();
        assert_eq!(missing("").len(), all);
        // A number that is only the beginning of another one, or mentioned elsewhere, is no row.
        assert_eq!(missing("| SEED-001-10 | a | b |\nSEED-001-1 ").len(), all - 1);
    }

    fn why(number: &str, cell: &str) -> Option<String> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let citation = Citation {
            number: "SEED-1".into(),
            test: "proof".into(),
            file: here.join("src/seeds.rs"),
            line: 1,
        };
        why_unproven(here, number, cell, &[citation])
    }

    #[test]
    fn the_test_of_a_row_must_cite_exactly_its_rule() {
        assert_eq!(why("SEED-1", "[`proof`](src/seeds.rs)"), None);
        assert_eq!(why("SEED-1", "[`proof`](src/../src/seeds.rs)"), None);
        for (number, cell) in [
            ("SEED-10", "[`proof`](src/seeds.rs)"),
            ("SEED-1", "[`proo`](src/seeds.rs)"),
            ("SEED-1", "[`proof`](src/main.rs)"),
            ("SEED-1", "[`proof`](src/nothing.rs)"),
            ("SEED-1", "proof"),
            ("SEED-1", ""),
        ] {
            assert!(why(number, cell).is_some(), "{number} {cell}");
        }
    }

    #[test]
    fn a_row_may_be_held_by_a_type_or_put_off() {
        assert_eq!(why("SEED-2", "later: the C headers"), None);
        assert_eq!(why("SEED-2", "[type: it does not compile](src/seeds.rs)"), None);
        assert!(why("SEED-2", "[type: it does not compile](src/links.rs)").is_some());
    }
}
