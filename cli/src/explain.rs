//! `longshore explain`: a rule of the ledger.

use crate::arguments::Explain;
use crate::console::{Console, Failure, Verdict};
use longshore_drydock::rules::{self, Entry, FAMILIES, Held};

/// Explains one rule.
pub(crate) fn run(wanted: &Explain, console: &mut Console) -> Result<Verdict, Failure> {
    let number = wanted.number.trim().to_ascii_uppercase();
    let rule = rules::find(&number).ok_or_else(|| Failure::new(hint(&wanted.number, &number)))?;
    console.heading(rule.number)?;
    console.line(format_args!("  {}", rule.sentence))?;
    console.line(format_args!("  kind    {} ({})", rule.kind.word(), weight(&rule)))?;
    console.line(format_args!("  source  {}", rule.source))?;
    console.line(format_args!("  held    {}", held(rule.held)))?;
    Ok(Verdict::Clean)
}

fn weight(rule: &Entry<'_>) -> &'static str {
    if rule.kind.warns() {
        "breaking it is a warning"
    } else {
        "breaking it is a violation"
    }
}

fn held(held: Held<'_>) -> String {
    match held {
        Held::Test => "by a test that cites its number".to_owned(),
        Held::Type(file) => format!("by a type; {file} shows that the wrong code does not compile"),
        Held::NotApplicable(reason) => format!("does not apply: {reason}"),
        Held::Later(who) => format!("not yet: {who}"),
        Held::Open => "not yet by a test of its own".to_owned(),
    }
}

/// What would have been right: the numbers of the family if there is one, else the families.
fn hint(asked: &str, number: &str) -> String {
    let family = number.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let known = FAMILIES.iter().find(|(name, _)| *name == family);
    match known.and_then(|(_, text)| rules::parse(text).ok()) {
        Some(entries) => {
            let ends = (
                entries.first().map(|e| e.number),
                entries.last().map(|e| e.number),
            );
            let (Some(first), Some(last)) = ends else {
                return format!("there is no rule {asked:?}; its family is empty");
            };
            format!("there is no rule {asked:?}; the rules of its family are {first} to {last}, with gaps")
        }
        None => {
            let families: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no rule {asked:?}; a number looks like SEED-004-6, and the families are {}",
                families.join(", ")
            )
        }
    }
}
