//! What a check found, for programs: the same structures go through a worker's pipe and into `--json`.

use longshore_drydock::coverage::{Coverage, Table};
use longshore_drydock::rules::{self, Kind};
use longshore_drydock::{Report, Violation};
use serde::{Deserialize, Serialize};

/// What a person types before a code to see a finding again.
const AGAIN: &str = "longshore check --replay ";

/// The suites whose targets are held against a table, each with one of its tables.
const TABLES: [(&str, Table); 4] = [
    ("provider", Table::Channel),
    ("controller", Table::Transfer),
    ("miniport", Table::Miniport),
    ("miniport", Table::MiniportChannel),
];

/// Everything that one check found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    /// The five pages.
    pub(crate) pages: Vec<PageReport>,
    /// What was checked.
    pub(crate) targets: Vec<TargetReport>,
    /// What is broken on purpose.
    pub(crate) broken: Vec<BrokenReport>,
    /// The sums.
    pub(crate) totals: Totals,
}

/// What was observed of a page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PageReport {
    /// Its number.
    pub(crate) number: String,
    /// What it is about.
    pub(crate) name: String,
    /// What was observed.
    pub(crate) observed: String,
    /// Whether that is what the page says.
    pub(crate) ok: bool,
}

/// What a check of one target found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TargetReport {
    /// The target.
    pub(crate) name: String,
    /// The suite that checked it.
    pub(crate) suite: String,
    /// How many runs there were.
    pub(crate) scenarios: u64,
    /// How many points they had.
    pub(crate) points: u64,
    /// How many distinct pairs of state and event they saw.
    pub(crate) pairs: usize,
    /// Which pairs: table, state, event.
    pub(crate) seen: Vec<[String; 3]>,
    /// Broken rules, one entry for each rule.
    pub(crate) violations: Vec<Finding>,
    /// Broken rules that are inferred or our own choice.
    pub(crate) warnings: Vec<Finding>,
}

/// A broken rule, and how to see it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The rule's number.
    pub(crate) rule: String,
    /// Where the rule comes from.
    pub(crate) kind: String,
    /// What was seen.
    pub(crate) what: String,
    /// The code under which it can be seen again. Empty if it is not known.
    pub(crate) replay: String,
    /// All of it as a person reads it: the rule, what was seen, the last steps, the code.
    pub(crate) explained: String,
}

/// Whether the checker noticed something that is broken on purpose.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BrokenReport {
    /// Its name.
    pub(crate) name: String,
    /// The suite that checked it.
    pub(crate) suite: String,
    /// What is wrong with it.
    pub(crate) flaw: String,
    /// Whether it was caught under its rule.
    pub(crate) caught: bool,
    /// The rule under which it must be caught.
    pub(crate) rule: String,
    /// The finding under that rule.
    pub(crate) finding: Option<Finding>,
    /// The rules under which something was found.
    pub(crate) found: Vec<String>,
}

/// The sums. Runs, violations, warnings and pairs are those of the targets, not of what is broken on purpose.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// How many targets.
    pub(crate) targets: usize,
    /// How many runs.
    pub(crate) scenarios: u64,
    /// How many violations.
    pub(crate) violations: usize,
    /// How many warnings.
    pub(crate) warnings: usize,
    /// How many distinct pairs of state and event.
    pub(crate) pairs: usize,
    /// How many broken implementations.
    pub(crate) broken: usize,
    /// How many of them were caught under their rule.
    pub(crate) caught: usize,
}

/// What one run, run again, showed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Again {
    /// What happened, step by step.
    pub(crate) trace: Vec<String>,
    /// What was wrong.
    pub(crate) report: TargetReport,
    /// What the code names that never came, because the run was over before.
    pub(crate) missed: Option<String>,
}

impl From<&Violation> for Finding {
    fn from(violation: &Violation) -> Self {
        Self {
            rule: violation.rule.to_owned(),
            kind: violation.kind.map_or("not in the ledger", Kind::word).to_owned(),
            what: violation.what.clone(),
            replay: violation.replay.clone(),
            explained: violation.explain(AGAIN),
        }
    }
}

impl Finding {
    /// A worker that could not finish: whatever it ran waits forever, or brought it down. `replay` is the plan that
    /// it had announced last.
    pub(crate) fn lost(how: &str, replay: Option<String>) -> Self {
        const RULE: &str = "RL-13";
        let rule = rules::find(RULE);
        let kind = rule.map_or("", |rule| rule.kind.word());
        let sentence = rule.map_or("", |rule| rule.sentence);
        let (what, again) = match &replay {
            Some(plan) => (
                format!("{how}; the last plan it announced is {plan}"),
                format!("\n  again   {AGAIN}{plan}"),
            ),
            None => (format!("{how}; it had announced no plan"), String::new()),
        };
        Self {
            rule: RULE.to_owned(),
            kind: kind.to_owned(),
            explained: format!("  rule    {RULE} ({kind}): {sentence}\n  seen    {what}{again}"),
            what,
            replay: replay.unwrap_or_default(),
        }
    }
}

impl From<&Report> for TargetReport {
    fn from(report: &Report) -> Self {
        let seen = report.pairs.sorted();
        Self {
            name: report.target.clone(),
            suite: report.suite.to_owned(),
            scenarios: report.scenarios,
            points: report.points,
            pairs: seen.len(),
            seen: seen
                .into_iter()
                .map(|(table, state, event)| [table, state, event].map(str::to_owned))
                .collect(),
            violations: report.violations.iter().map(Finding::from).collect(),
            warnings: report.warnings.iter().map(Finding::from).collect(),
        }
    }
}

impl TargetReport {
    /// What is left to say of a target whose worker could not finish.
    pub(crate) fn lost(name: &str, suite: &str, scenarios: u64, finding: Finding) -> Self {
        Self {
            name: name.to_owned(),
            suite: suite.to_owned(),
            scenarios,
            points: 0,
            pairs: 0,
            seen: Vec::new(),
            violations: vec![finding],
            warnings: Vec::new(),
        }
    }

    /// Counts the warnings as violations.
    pub(crate) fn make_strict(&mut self) {
        self.violations.append(&mut self.warnings);
    }

    /// Everything that was found.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.violations.iter().chain(&self.warnings)
    }
}

impl Document {
    /// The document, with its sums.
    pub(crate) fn new(pages: Vec<PageReport>, targets: Vec<TargetReport>, broken: Vec<BrokenReport>) -> Self {
        let mut pairs: Vec<_> = targets.iter().flat_map(|target| &target.seen).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let totals = Totals {
            targets: targets.len(),
            scenarios: targets.iter().map(|target| target.scenarios).sum(),
            violations: targets.iter().map(|target| target.violations.len()).sum(),
            warnings: targets.iter().map(|target| target.warnings.len()).sum(),
            pairs: pairs.len(),
            broken: broken.len(),
            caught: broken.iter().filter(|broken| broken.caught).count(),
        };
        Self {
            pages,
            targets,
            broken,
            totals,
        }
    }

    /// Whether everything is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.totals.violations == 0 && self.failures().is_empty()
    }

    /// What is not as it must be although it is no violation of a target.
    pub(crate) fn failures(&self) -> Vec<String> {
        let pages = self.pages.iter().filter(|page| !page.ok);
        let pages = pages.map(|page| format!("page {} is not as it says", page.number));
        let missed = self.broken.iter().filter(|broken| !broken.caught);
        let missed = missed.map(|broken| format!("{} was not caught", broken.name));
        let odd = self.coverage().flat_map(|(table, coverage)| {
            let name = table.name();
            let claim = move |pair| format!("{name}: {pair} cannot happen, and was seen");
            coverage.unexpected.into_iter().map(claim)
        });
        pages.chain(missed).chain(odd).collect()
    }

    /// What of each table the targets of its suite have shown, where there are such.
    pub(crate) fn coverage(&self) -> impl Iterator<Item = (Table, Coverage)> {
        TABLES.into_iter().filter_map(|(suite, table)| {
            let held = self.targets.iter().filter(|target| target.suite == suite);
            let mut seen = held.flat_map(|target| &target.seen).peekable();
            seen.peek()?;
            let seen = seen.map(|[table, state, event]| (&**table, &**state, &**event));
            Some((table, Coverage::of(table, seen)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_failed_and_a_flaw_that_was_missed_are_failures() {
        let page = |number: &str, ok| PageReport {
            number: number.to_owned(),
            name: String::new(),
            observed: String::new(),
            ok,
        };
        let broken = |name: &str, caught| BrokenReport {
            name: name.to_owned(),
            suite: String::new(),
            flaw: String::new(),
            caught,
            rule: String::new(),
            finding: None,
            found: Vec::new(),
        };
        let clean = Document::new(vec![page("000", true)], vec![], vec![broken("a", true)]);
        assert!(clean.is_clean() && clean.failures().is_empty());
        let pages = vec![page("000", true), page("004", false)];
        let failed = Document::new(pages, vec![], vec![broken("a", true), broken("b", false)]);
        assert!(!failed.is_clean());
        assert_eq!(
            failed.failures(),
            ["page 004 is not as it says", "b was not caught"]
        );
    }

    /// A table that says of a pair that it cannot happen, though a target has shown it, is wrong.
    #[test]
    fn a_pair_that_cannot_happen_and_was_seen_is_a_failure() {
        let seen = |event: &str| TargetReport {
            seen: vec![["WDM transfer", "Own", event].map(str::to_owned)],
            violations: Vec::new(),
            ..TargetReport::lost("a", "controller", 1, Finding::lost("", None))
        };
        assert!(Document::new(vec![], vec![seen("Map")], vec![]).is_clean());
        let odd = Document::new(vec![], vec![seen("Grant")], vec![]);
        assert!(!odd.is_clean());
        assert_eq!(
            odd.failures(),
            ["WDM transfer: Own/Grant cannot happen, and was seen"]
        );
    }
}
