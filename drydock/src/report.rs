//! What a check found, for people and for programs.

use crate::machine::{Finding, Pairs, Step, What};
use crate::replay::ReplayCode;
use crate::rules::{self, Kind};

/// How many of the last steps a report shows.
const SHOWN_STEPS: usize = 16;

/// A broken rule, and how to see it again.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule's number.
    pub rule: &'static str,
    /// Where the rule comes from, or `None` if it is not in the ledger.
    pub kind: Option<Kind>,
    /// What was seen.
    pub what: String,
    /// The code under which it can be seen again.
    pub replay: String,
    /// The steps that led to it, in plain words.
    pub steps: Vec<String>,
}

impl Violation {
    pub(crate) fn new(finding: &Finding, trace: &[Step], code: &ReplayCode) -> Self {
        let upto = finding.step.min(trace.len());
        let telling: Vec<&Step> = trace[..upto].iter().filter(|step| tells(step)).collect();
        let steps = telling[telling.len().saturating_sub(SHOWN_STEPS)..]
            .iter()
            .map(ToString::to_string)
            .collect();
        Self {
            rule: finding.rule.0,
            kind: rules::find(finding.rule.0).map(|rule| rule.kind),
            what: finding.what.clone(),
            replay: code.to_string(),
            steps,
        }
    }

    /// Whether this is a warning: the rule is inferred or our own choice.
    pub fn is_warning(&self) -> bool {
        self.kind.is_some_and(Kind::warns)
    }

    /// The finding as a person reads it: the rule, what was seen, the last steps, and how to see it again: `again` is
    /// what stands before the code, which only whoever built the target can know.
    pub fn explain(&self, again: &str) -> String {
        let sentence = rules::find(self.rule).map_or("", |rule| rule.sentence);
        let kind = self.kind.map_or("not in the ledger", Kind::word);
        let steps = self
            .steps
            .iter()
            .map(|step| format!("    {step}\n"))
            .collect::<String>();
        format!(
            "  rule    {} ({kind}): {sentence}\n  seen    {}\n  steps   the last {}\n{steps}  again   {again}{}",
            self.rule,
            self.what,
            self.steps.len(),
            self.replay
        )
    }
}

/// Locks and transitions tell a reader nothing about the contract.
fn tells(step: &Step) -> bool {
    use longshore_core::Event;
    !matches!(
        step.what,
        What::Locked(_) | What::Unlocked(_) | What::Event(Event::Transition { .. } | Event::Handover(..))
    )
}

/// What a check of one target found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The target.
    pub target: String,
    /// The suite.
    pub suite: &'static str,
    /// How many runs there were.
    pub scenarios: u64,
    /// How many points they had.
    pub points: u64,
    /// Which pairs of state and event they saw.
    pub pairs: Pairs,
    /// Broken rules, one entry for each rule.
    pub violations: Vec<Violation>,
    /// Broken rules that are inferred or our own choice.
    pub warnings: Vec<Violation>,
}

impl Report {
    pub(crate) fn new(target: &str, suite: &'static str) -> Self {
        Self {
            target: target.to_owned(),
            suite,
            scenarios: 0,
            points: 0,
            pairs: Pairs::default(),
            violations: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Keeps the first violation of each rule.
    pub(crate) fn add(&mut self, violation: Violation) {
        let list = if violation.is_warning() {
            &mut self.warnings
        } else {
            &mut self.violations
        };
        if !list.iter().any(|known| known.rule == violation.rule) {
            list.push(violation);
        }
    }

    /// Counts the warnings as violations.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.violations.append(&mut self.warnings);
        self
    }
}
