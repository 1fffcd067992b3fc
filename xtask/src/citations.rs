//! Which tests say that they prove which rules.

use std::path::{Path, PathBuf};

/// A test that cites a rule.
#[derive(Debug)]
pub(crate) struct Citation {
    /// The number it cites.
    pub(crate) number: String,
    /// The function below it. Empty if there is none.
    pub(crate) test: String,
    /// Where.
    pub(crate) file: PathBuf,
    /// The line of the citation, counted from 1.
    pub(crate) line: usize,
}

/// Citations that stand above something that is no test.
#[derive(Debug)]
pub(crate) struct Stray {
    /// Where.
    pub(crate) file: PathBuf,
    /// The line, counted from 1.
    pub(crate) line: usize,
}

/// Finds every citation in the project's sources.
pub(crate) fn find(root: &Path) -> (Vec<Citation>, Vec<Stray>) {
    let (mut citations, mut strays) = (Vec::new(), Vec::new());
    for file in crate::files(root, ".rs") {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        read(&file, &text, &mut citations, &mut strays);
    }
    (citations, strays)
}

fn read(file: &Path, text: &str, citations: &mut Vec<Citation>, strays: &mut Vec<Stray>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(numbers) = line.strip_prefix("/// Proves: ") else {
            continue;
        };
        if !is_above_a_test(&lines[index + 1..]) {
            strays.push(Stray {
                file: file.to_path_buf(),
                line: index + 1,
            });
        }
        let more = lines[index + 1..]
            .iter()
            .map_while(|line| line.strip_prefix("/// "));
        // A list goes on in the next line as long as the line before ends with a comma.
        let mut list = numbers.to_owned();
        for next in more {
            if !list.trim_end().ends_with(',') {
                break;
            }
            list.push(' ');
            list.push_str(next);
        }
        let test = name_below(&lines[index + 1..]);
        for number in list.trim_end_matches('.').split(',').map(str::trim) {
            let number = number.trim_end_matches('.').to_owned();
            citations.push(Citation {
                number,
                test: test.clone(),
                file: file.to_path_buf(),
                line: index + 1,
            });
        }
    }
}

/// The name of the function that stands behind the rest of a doc comment and attributes.
fn name_below(lines: &[&str]) -> String {
    let code = lines.iter().find(|line| {
        let above = line.starts_with("///") || line.starts_with("#[") || line.starts_with("#![");
        !above && **line != "proptest! {" && !line.is_empty()
    });
    let name = code
        .and_then(|line| line.split_once("fn "))
        .map_or("", |(_, name)| name);
    let end = name.find(|c: char| c != '_' && !c.is_alphanumeric());
    name[..end.unwrap_or(name.len())].to_owned()
}

/// Whether the lines begin with the rest of a doc comment and attributes, one of which makes a test.
fn is_above_a_test(lines: &[&str]) -> bool {
    lines
        .iter()
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .any(|line| *line == "#[test]")
        || lines
            .iter()
            .find(|line| !line.starts_with("///"))
            .is_some_and(|line| *line == "proptest! {")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> (Vec<String>, usize) {
        let (mut citations, mut strays) = (Vec::new(), Vec::new());
        read(Path::new("x.rs"), text, &mut citations, &mut strays);
        (
            citations.into_iter().map(|citation| citation.number).collect(),
            strays.len(),
        )
    }

    #[test]
    fn a_citation_may_go_on_in_the_next_line() {
        let text = "/// Proves: A-01, R2,\n/// WDM-158.\n#[test]\nfn x() {}";
        assert_eq!(
            numbers(text),
            (vec!["A-01".into(), "R2".into(), "WDM-158".into()], 0)
        );
    }

    #[test]
    fn a_citation_knows_its_test() {
        let (mut citations, mut strays) = (Vec::new(), Vec::new());
        let text = "/// Proves: R1,\n/// R2.\n#[test]\nfn one() {}\n\n/// Proves: R3.\n#[test]\nfn two() {}";
        read(Path::new("x.rs"), text, &mut citations, &mut strays);
        let told: Vec<_> = citations
            .iter()
            .map(|c| (c.number.as_str(), c.test.as_str()))
            .collect();
        assert_eq!(told, [("R1", "one"), ("R2", "one"), ("R3", "two")]);
    }

    #[test]
    fn a_citation_above_no_test_is_stray() {
        assert_eq!(numbers("/// Proves: R1.\nfn helper() {}").1, 1);
        assert_eq!(
            numbers("/// Proves: R1.\n///\n/// More words.\n#[test]\nfn x() {}").1,
            0
        );
    }
}
