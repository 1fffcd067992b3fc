//! The text that a check prints.

use super::json::{BrokenReport, Document, Finding, PageReport, TargetReport};
use crate::console::{Console, Failure};

/// The findings that are shown in full if there is a choice, the first of a suite that was asked for: their pages are
/// those about aborting and about the completion routine.
const SHOWN: [&str; 2] = ["SEED-004-6", "SEED-001-10"];

/// One line: what was observed of a page.
pub(super) fn page(page: &PageReport, console: &mut Console) -> Result<(), Failure> {
    console.line(format_args!("{} {}: {}", page.number, page.name, page.observed))
}

/// Everything behind the pages.
pub(super) fn print(document: &Document, console: &mut Console) -> Result<(), Failure> {
    console.line("")?;
    table(&document.targets, console)?;
    for target in &document.targets {
        findings(target, console)?;
    }
    console.line("")?;
    console.line(format_args!(
        "distinct (state, event) pairs: {}",
        document.totals.pairs
    ))?;
    for (table, coverage) in document.coverage() {
        console.line(format_args!("{}: {coverage}", table.name()))?;
    }
    gallery(document, console)?;
    // The last line speaks of the targets only, and would read as clean.
    let failures = document.failures();
    if !failures.is_empty() {
        console.line(format_args!("failed: {}", failures.join("; ")))?;
    }
    let totals = &document.totals;
    console.line(format_args!(
        "{} targets, {} scenarios, {} violations",
        totals.targets, totals.scenarios, totals.violations
    ))
}

fn table(targets: &[TargetReport], console: &mut Console) -> Result<(), Failure> {
    let head = [
        "target",
        "suite",
        "scenarios",
        "(state, event) pairs",
        "violations",
        "warnings",
    ]
    .map(str::to_owned);
    let rows: Vec<[String; 6]> = targets
        .iter()
        .map(|target| {
            [
                target.name.clone(),
                target.suite.clone(),
                target.scenarios.to_string(),
                target.pairs.to_string(),
                target.violations.len().to_string(),
                target.warnings.len().to_string(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].len());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    console.heading(line(&head, &widths))?;
    rows.iter().try_for_each(|row| console.line(line(row, &widths)))
}

/// Words to the left, numbers to the right.
fn line(cells: &[String; 6], widths: &[usize]) -> String {
    let cells = cells
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| {
            if column < 2 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
    cells.collect::<Vec<_>>().join("  ")
}

/// What was found of one target: violations in full, warnings in a line each.
pub(super) fn findings(target: &TargetReport, console: &mut Console) -> Result<(), Failure> {
    for violation in &target.violations {
        console.line("")?;
        console.heading(format_args!(
            "violation: {} breaks {}",
            target.name, violation.rule
        ))?;
        console.line(&violation.explained)?;
    }
    for warning in &target.warnings {
        console.line("")?;
        console.line(format_args!(
            "warning: {} breaks {} ({}): {}; see it by longshore check --replay {}",
            target.name, warning.rule, warning.kind, warning.what, warning.replay
        ))?;
    }
    Ok(())
}

/// What is broken on purpose, and one finding of it.
fn gallery(document: &Document, console: &mut Console) -> Result<(), Failure> {
    let broken = &document.broken;
    let caught = broken.iter().filter(|broken| broken.caught).count();
    console.line(format_args!(
        "broken implementations: {}, caught: {caught}",
        broken.len()
    ))?;
    for missed in broken.iter().filter(|broken| !broken.caught) {
        let found = match missed.found.as_slice() {
            [] => "nothing was found".to_owned(),
            rules => format!("found only under {}", rules.join(", ")),
        };
        console.line(format_args!(
            "NOT CAUGHT under {}: {} ({}); {found}",
            missed.rule, missed.name, missed.flaw
        ))?;
    }
    if let Some((broken, finding)) = shown(document) {
        console.line("")?;
        console.heading(format_args!("one of them: {} ({})", broken.name, broken.flaw))?;
        console.line(&finding.explained)?;
        console.line("")?;
    }
    Ok(())
}

/// The finding that is shown in full: one of a suite that was asked for, where the gallery has something of it.
fn shown(document: &Document) -> Option<(&BrokenReport, &Finding)> {
    let asked = |broken: &BrokenReport| document.targets.iter().any(|target| target.suite == broken.suite);
    let liked = |broken: &BrokenReport| SHOWN.iter().position(|rule| *rule == broken.rule);
    let found = document.broken.iter();
    found
        .filter_map(|broken| Some((broken, broken.finding.as_ref()?)))
        .min_by_key(|(broken, _)| (!asked(broken), liked(broken).unwrap_or(SHOWN.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document in which targets of these suites were checked, and which shows the example that it names.
    fn example(suites: &[&str]) -> Option<String> {
        let target = |suite: &&str| TargetReport::lost("a", suite, 1, Finding::lost("", None));
        let broken = |suite: &str, rule: &str, found: bool| BrokenReport {
            name: rule.to_owned(),
            suite: suite.to_owned(),
            flaw: String::new(),
            caught: found,
            rule: rule.to_owned(),
            finding: found.then(|| Finding::lost("", None)),
            found: Vec::new(),
        };
        let gallery = vec![
            broken("provider", "R1", true),
            broken("provider", SHOWN[0], true),
            broken("controller", "R2", true),
            broken("controller", SHOWN[1], true),
            broken("client", "R3", false),
        ];
        let document = Document::new(vec![], suites.iter().map(target).collect(), gallery);
        shown(&document).map(|(broken, _)| broken.rule.clone())
    }

    #[test]
    fn the_example_is_of_a_suite_that_was_asked_for() {
        assert_eq!(example(&["controller"]).as_deref(), Some(SHOWN[1]));
        assert_eq!(example(&["provider"]).as_deref(), Some(SHOWN[0]));
        assert_eq!(example(&["controller", "provider"]).as_deref(), Some(SHOWN[0]));
        // The gallery has nothing of these, or has found nothing.
        assert_eq!(example(&["miniport"]).as_deref(), Some(SHOWN[0]));
        assert_eq!(example(&["client"]).as_deref(), Some(SHOWN[0]));
    }
}
