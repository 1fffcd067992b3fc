//! The text that a check prints.

use super::json::{BrokenReport, Document, PageReport, TargetReport};
use crate::console::{Console, Failure};

/// The finding that is shown in full if there is a choice: its page is the one about aborting.
const SHOWN: &str = "SEED-004-6";

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
    gallery(&document.broken, console)?;
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
fn gallery(broken: &[BrokenReport], console: &mut Console) -> Result<(), Failure> {
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
    let mut shown = broken.iter().filter(|broken| broken.finding.is_some());
    let shown = broken
        .iter()
        .find(|broken| broken.rule == SHOWN && broken.finding.is_some())
        .or_else(|| shown.next());
    if let Some((broken, finding)) = shown.and_then(|broken| Some((broken, broken.finding.as_ref()?))) {
        console.line("")?;
        console.heading(format_args!("one of them: {} ({})", broken.name, broken.flaw))?;
        console.line(&finding.explained)?;
        console.line("")?;
    }
    Ok(())
}
