//! Links of the project's pages that lead nowhere.

use std::path::Path;

/// A link that leads nowhere, in words.
pub(crate) fn dead(root: &Path) -> Vec<String> {
    crate::files(root, ".md")
        .iter()
        .flat_map(|page| dead_in(root, page))
        .collect()
}

fn dead_in(root: &Path, page: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(page) else {
        return Vec::new();
    };
    let folder = page.parent().unwrap_or(root);
    // The page of the five documents names what stands where; elsewhere a link in code style is only a name.
    let names = page.ends_with("docs/seeds.md");
    let shown = page.strip_prefix(root).unwrap_or(page).display();
    let mut dead = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (words, target) in links(line) {
            if let Some(why) = why_dead(folder, words, target, names) {
                dead.push(format!("{shown}:{}: {why}", index + 1));
            }
        }
    }
    dead
}

fn why_dead(folder: &Path, words: &str, target: &str, names: bool) -> Option<String> {
    let target = target.split('#').next().unwrap_or(target);
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let path = folder.join(target);
    if !path.exists() {
        return Some(format!("the link leads to {target}, which is not there"));
    }
    if !names {
        return None;
    }
    let name = words.strip_prefix('`')?.strip_suffix('`')?;
    let name = name.rsplit("::").next().unwrap_or(name).trim_end_matches("()");
    let text = std::fs::read_to_string(&path)
        .ok()
        .filter(|_| target.ends_with(".rs"))?;
    (!has_item(&text, name)).then(|| format!("{target} has no item {name}"))
}

/// Whether code has an item of this name. What a comment or a text says of it does not count.
fn has_item(text: &str, name: &str) -> bool {
    const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "const", "mod"];
    text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `const` may also stand before `fn`, so each kind at the head of the line is looked at.
        words
            .windows(2)
            .take_while(|pair| KINDS.contains(&pair[0]) || is_qualifier(pair[0]))
            .any(|pair| KINDS.contains(&pair[0]) && is_named(pair[1], name))
    })
}

/// Whether the word may stand before the kind of an item.
fn is_qualifier(word: &str) -> bool {
    ["pub", "unsafe", "async"].contains(&word) || word.starts_with("pub(")
}

/// Whether a name ends where this one ends: `step(state:` is named `step`, and `step_by(` is not.
fn is_named(word: &str, name: &str) -> bool {
    let rest = word.strip_prefix(name);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()))
}

/// The links of a line: their words and their targets.
pub(crate) fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("](").filter_map(|(at, _)| {
        let words = &line[line[..at].rfind('[')? + 1..at];
        let rest = &line[at + 2..];
        Some((words, &rest[..rest.find(')')?]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_a_line_is_found() {
        let line = "see [`a`](x.rs) and [b c](docs/y.md#part), not [z]";
        assert_eq!(
            links(line).collect::<Vec<_>>(),
            [("`a`", "x.rs"), ("b c", "docs/y.md#part")]
        );
    }

    #[test]
    fn only_an_item_of_exactly_that_name_counts() {
        for line in [
            "fn x() {",
            "    pub(crate) const fn x<T>(",
            "pub struct x;",
            "const x: u8 = 0;",
            "pub mod x;",
        ] {
            assert!(has_item(line, "x"), "{line}");
        }
        for line in [
            "fn x_y() {",
            "fn y() { x() }",
            "// fn x()",
            "/// type x = u8;",
            "call(\"fn x()\")",
            "let x = 1;",
        ] {
            assert!(!has_item(line, "x"), "{line}");
        }
    }

    #[test]
    fn a_name_that_is_not_in_the_file_is_dead() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(why_dead(here, "`why_dead`", "src/links.rs", true), None);
        assert!(why_dead(here, "`no_such\u{5f}name`", "src/main.rs", true).is_some());
        assert!(why_dead(here, "words", "src/nothing.rs", false).is_some());
        assert_eq!(why_dead(here, "words", "https://example.org", true), None);
    }
}
