//! The codes of Windows' DMA verifier: each that can be seen has a test that bears its number.

use longshore_wdm::verifier::{CODES, Seen};
use std::path::Path;

/// Where such tests are.
const FOLDERS: [&str; 2] = ["drydock/tests", "ddk"];

/// What is missing, in words.
pub(crate) fn untested(root: &Path) -> Vec<String> {
    let files = FOLDERS.map(|folder| crate::files(&root.join(folder), ".rs"));
    let texts = files
        .iter()
        .flatten()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let tested: Vec<String> = texts.flat_map(|text| numbers(&text)).collect();
    missing(&tested)
}

/// The codes that the tests of a text bear, as `0x0d`.
fn numbers(text: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        let name = line.strip_prefix("fn code_").filter(|_| is_test);
        numbers.extend(
            name.and_then(|name| name.split_once('_'))
                .map(|(number, _)| number.to_owned()),
        );
        is_test = line == "#[test]" || is_test && line.starts_with("#[");
    }
    numbers
}

fn missing(tested: &[String]) -> Vec<String> {
    let seen = CODES.iter().filter(|entry| match entry.seen {
        Seen::Here | Seen::InC | Seen::InTheDryDock => true,
        Seen::Nowhere(_) => false,
    });
    seen.map(|entry| format!("0x{:02x}", entry.code.0))
        .filter(|number| !tested.contains(number))
        .map(|number| format!("verifier: no test is named code_{number}_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_bears_a_number() {
        let text =
            "#[test]\nfn code_0x0d_x() {}\n\nfn code_0x0e_x() {}\n#[test]\n#[ignore]\nfn code_0x0f_x() {}";
        assert_eq!(numbers(text), ["0x0d", "0x0f"]);
    }

    #[test]
    fn a_code_that_can_be_seen_needs_a_test() {
        let nowhere = CODES
            .iter()
            .filter(|entry| matches!(entry.seen, Seen::Nowhere(_)));
        let all = missing(&[]);
        assert_eq!(all.len(), CODES.len() - nowhere.count());
        let rest = missing(&["0x0d".to_owned()]);
        assert_eq!(rest.len(), all.len() - 1);
        assert!(all.contains(&"verifier: no test is named code_0x0d_".to_owned()));
    }

    #[test]
    fn every_code_that_can_be_seen_has_a_test() {
        assert_eq!(untested(&crate::root()), Vec::<String>::new());
    }
}
