//! A check from end to end.

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::{Ran, command, longshore, with_accident};

const FEW: &[&str] = &["check", "--seeds", "20"];

/// The numbers of `N targets, N scenarios, N violations`.
fn totals(line: &str) -> [u64; 3] {
    let parts: Vec<_> = line.split(", ").collect();
    let names = [" targets", " scenarios", " violations"];
    assert_eq!(parts.len(), names.len(), "{line}");
    let mut numbers = [0; 3];
    for ((number, part), name) in numbers.iter_mut().zip(parts).zip(names) {
        *number = part
            .strip_suffix(name)
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| panic!("{line}"));
    }
    numbers
}

fn assert_pages_come_first(ran: &Ran) {
    let lines = ran.lines();
    let names = [
        "000 DMA_COMPLETION_STATUS:",
        "001 DmaCompletionRoutine:",
        "002 NdisMCompleteDmaTransfer:",
    ];
    for (line, name) in lines.iter().zip(names) {
        assert!(line.starts_with(name), "{line}");
    }
    assert!(lines[3].starts_with("003 Completing a DMA Transfer: status: word D2|Idle, no interrupt; "));
    assert!(
        lines[4].starts_with("004 ProviderAbortDma: word = D2|Halted, Append refused, Start accepted"),
        "{}",
        lines[4]
    );
}

#[test]
fn a_check_shows_pages_targets_gallery_and_totals() {
    let ran = longshore(FEW);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_pages_come_first(&ran);
    let row = |line: &&str| line.split_whitespace().take(2).eq(["cpu-1.x", "provider"]);
    assert!(ran.lines().iter().any(row), "{}", ran.out);
    let gallery = ran
        .lines()
        .into_iter()
        .find(|line| line.starts_with("broken implementations: "));
    let (broken, caught) = gallery
        .and_then(|line| line[24..].split_once(", caught: "))
        .unwrap();
    assert!(broken == caught && broken != "0", "{gallery:?}");
    assert!(ran.out.contains("distinct (state, event) pairs: "));
    let [targets, scenarios, violations] = totals(ran.last());
    assert!(
        targets >= 2 && scenarios > 1000 && violations == 0,
        "{}",
        ran.last()
    );
    // Standard error is no terminal here: a plain line for each target.
    assert!(ran.err.contains("checked cpu-1.x: "), "{}", ran.err);
}

#[test]
fn the_finding_that_is_shown_can_be_seen_again() {
    let ran = longshore(FEW);
    let (code, rule) = (ran.replay_code(), ran.rule());
    let again = longshore(&["check", "--replay", code]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!((again.replay_code(), again.rule()), (code, rule));
    assert!(again.lines()[0].contains(" us  cpu 0 PASSIVE"), "{}", again.out);
    assert!(again.last().ends_with(code));
    let clean = longshore(&["check", "--replay", "1:cpu-1.x/abort:straight@4"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.out.contains("ProviderAbortDma is called") && clean.out.contains("no rule is broken"));
}

#[test]
fn a_broken_target_is_named_with_its_violation() {
    let ran = longshore(&["check", "no-halted-word", "--seeds", "5", "--strict"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("violation: no-halted-word breaks SEED-004-7"),
        "{}",
        ran.out
    );
    let [targets, _, violations] = totals(ran.last());
    assert!(targets == 1 && violations >= 1, "{}", ran.last());
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn json_on_standard_output_agrees_with_itself() {
    let ran = longshore(&["check", "--seeds", "20", "--json", "-"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let list = |name: &str| document[name].as_array().unwrap().clone();
    let (pages, targets, broken) = (list("pages"), list("targets"), list("broken"));
    let totals = &document["totals"];
    assert_eq!(pages.len(), 5);
    assert!(
        pages
            .iter()
            .all(|page| page["ok"] == true && page["observed"].is_string())
    );
    let sum = |field: &str| targets.iter().map(|target| number(&target[field])).sum::<u64>();
    let found = |field: &str| -> usize { targets.iter().map(|t| t[field].as_array().unwrap().len()).sum() };
    assert_eq!(number(&totals["targets"]), targets.len() as u64);
    assert_eq!(number(&totals["scenarios"]), sum("scenarios"));
    assert_eq!(number(&totals["violations"]), found("violations") as u64);
    assert_eq!(number(&totals["warnings"]), found("warnings") as u64);
    assert_eq!(number(&totals["broken"]), broken.len() as u64);
    let caught = broken.iter().filter(|broken| broken["caught"] == true).count();
    assert_eq!(number(&totals["caught"]), caught as u64);
    let most = targets
        .iter()
        .map(|target| number(&target["pairs"]))
        .max()
        .unwrap();
    assert!((most..=sum("pairs")).contains(&number(&totals["pairs"])));
    assert!(
        broken
            .iter()
            .all(|broken| broken["finding"]["rule"] == broken["rule"])
    );
}

#[test]
fn json_goes_into_a_file_beside_the_text() {
    let path = std::env::temp_dir().join(format!("longshore-test-{}.json", std::process::id()));
    std::fs::write(&path, "something longer that stood there before".repeat(10_000)).unwrap();
    let ran = longshore(&[
        "check",
        "cpu-2.x",
        "--seeds",
        "1",
        "--json",
        path.to_str().unwrap(),
    ]);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["targets"][0]["name"], "cpu-2.x");
    let [_, scenarios, _] = totals(ran.last());
    assert_eq!(number(&document["totals"]["scenarios"]), scenarios);
}

#[test]
fn a_group_is_checked_by_its_name_and_held_against_its_tables() {
    let ran = longshore(&["check", "ndis", "--seeds", "5"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let [targets, ..] = totals(ran.last());
    assert_eq!(targets, 4, "{}", ran.last());
    for table in ["NDIS miniport", "NDIS channel"] {
        let every = format!("{table}: every (state, event) pair seen: ");
        assert!(ran.out.contains(&every), "{}", ran.out);
    }
    // Of the gallery, what was asked for is shown.
    assert!(ran.replay_code().contains("/receive-"), "{}", ran.out);
}

/// Proves: RL-13.
#[test]
fn a_worker_that_dies_or_falls_silent_is_a_violation() {
    for (accident, words) in [("die", "was ended by signal 6"), ("hang", "said nothing for 3 s")] {
        let ran = with_accident(
            &format!("{accident}:cpu-2.x"),
            &["check", "cpu-1.x", "cpu-2.x", "--seeds", "7"],
        );
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("violation: cpu-2.x breaks RL-13"), "{}", ran.out);
        assert!(ran.out.contains(words), "{}", ran.out);
        // The plan of the run in which it happened.
        assert_eq!(ran.replay_code(), "1:cpu-2.x/chain:s4");
        let [targets, scenarios, violations] = totals(ran.last());
        assert!(targets == 2 && scenarios > 0 && violations == 1, "{}", ran.last());
    }
}

#[test]
fn what_is_broken_on_purpose_and_not_caught_is_told() {
    let ran = with_accident("die:abort-finishes", &["check", "cpu-1.x", "--seeds", "1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("NOT CAUGHT under SEED-004-6: abort-finishes"),
        "{}",
        ran.out
    );
    let [_, _, violations] = totals(ran.last());
    assert_eq!(violations, 0);
    // So that the last line does not read as clean.
    let before = ran.lines().into_iter().rev().nth(1);
    assert_eq!(before, Some("failed: abort-finishes was not caught"));
}

#[test]
fn a_silent_worker_does_not_outlive_its_parent() {
    // Nothing that runs this test is process 0, so for this worker its parent is gone from the start.
    let ran = with_accident("hang:cpu-2.x", &["worker", "--parent", "0", "--", "cpu-2.x"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), ""), "{ran:?}");
}

#[test]
fn a_reader_who_goes_away_does_not_change_the_verdict() {
    let mut child = command(&["check", "no-halted-word", "--seeds", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("000"), "{first}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}
