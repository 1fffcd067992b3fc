//! Bad input is one clear line and exit code 2; help is help.

mod support;

use std::time::{Duration, Instant};
use support::longshore;

/// The arguments, and what the line must say.
const BAD: [(&[&str], &[&str]); 15] = [
    (&["demo", "005"], &["\"005\"", "000, 001, 002, 003, 004"]),
    (&["check", "cpu-3.x"], &["\"cpu-3.x\"", "cpu-1.x, cpu-2.x"]),
    (
        &["check", "--replay", "nonsense"],
        &["\"nonsense\"", "1:cpu-1.x/abort:straight@17"],
    ),
    (
        &["check", "--replay", "1:cpu-1.x/abort:sideways"],
        &["sideways", "a code looks like"],
    ),
    (
        &["check", "--replay", "77:cpu-1.x/abort:straight"],
        &["schedule version 77", "this is version"],
    ),
    (
        &["check", "--replay", "1:cpu-3.x/abort:straight"],
        &["\"cpu-3.x\"", "cpu-1.x", "abort-finishes"],
    ),
    (
        &["check", "--replay", "1:cpu-1.x/dance:straight"],
        &["\"dance\"", "chain, poll"],
    ),
    (
        &["check", "--replay", "1:abort-finishes/abort:straight@9999"],
        &[
            "the intruder never acted: this run has only ",
            " points where it could",
        ],
    ),
    (
        &["check", "--replay", "1:cpu-1.x/abort:straight@4!bus-error@999999"],
        &[
            "the bus error never came: this run has only ",
            " bytes where it could",
        ],
    ),
    (
        &["check", "--replay", "1:cpu-1.x/abort:straight!stall@999999+5"],
        &[
            "the engine never stood still: this run has only ",
            " points where it could",
        ],
    ),
    (
        &[
            "check",
            "--replay",
            "1:cpu-1.x/abort:straight!early-interrupt@999999",
        ],
        &[
            "the early interrupt never came: this run has only ",
            " points where it could",
        ],
    ),
    (
        &["check", "--json", "/nonexistent/report.json"],
        &["/nonexistent/report.json", "cannot be written"],
    ),
    (&["check", "--json", "/"], &["\"/\"", "cannot be written"]),
    (&["explain", "SEED-999-1"], &["\"SEED-999-1\"", "SEED-000-1"]),
    (&["explain", "rumour"], &["\"rumour\"", "SEED-004-6", "NETDMA"]),
];

#[test]
fn bad_input_is_one_line_that_says_what_would_be_right() {
    for (arguments, expected) in BAD {
        let begun = Instant::now();
        let ran = longshore(arguments);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{arguments:?} took long"
        );
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
        assert_eq!(ran.err.lines().count(), 1, "{arguments:?}: {}", ran.err);
        for words in expected {
            assert!(
                ran.err.contains(words),
                "{arguments:?} does not say {words}: {}",
                ran.err
            );
        }
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let replay_of_one = &["check", "cpu-1.x", "--replay", "1:cpu-1.x/abort:straight"];
    let wrong: [&[&str]; 6] = [
        &[],
        &["dance"],
        &["check", "--seeds", "many"],
        &["check", "--json"],
        &["explain"],
        replay_of_one,
    ];
    for arguments in wrong {
        let ran = longshore(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_has_examples_and_hides_what_is_not_for_people() {
    let commands: [&[&str]; 4] = [
        &["--help"],
        &["demo", "--help"],
        &["check", "--help"],
        &["explain", "--help"],
    ];
    for arguments in commands {
        let ran = longshore(arguments);
        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("Examples:\n  longshore "), "{}", ran.out);
        assert!(!ran.out.contains("worker "), "{}", ran.out);
    }
    let check = longshore(&["check", "--help"]);
    assert!(
        check.out.contains("in hexadecimal (s1f is seed 31)"),
        "{}",
        check.out
    );
    let version = longshore(&["--version"]);
    assert_eq!(
        (version.code, version.out.as_str()),
        (Some(0), "longshore 0.1.0\n")
    );
}

#[test]
fn a_rule_is_explained_whatever_case_it_is_written_in() {
    let ran = longshore(&["explain", "seed-004-6"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.lines()[0], "SEED-004-6");
    for word in [
        "kind    seed",
        "breaking it is a violation",
        "source  ",
        "held    ",
    ] {
        assert!(ran.out.contains(word), "{}", ran.out);
    }
}

#[test]
fn engines_are_listed_honestly() {
    let ran = longshore(&["engines"]);
    assert_eq!(ran.code, Some(0));
    for words in [
        "in software",
        "1.x",
        "2.x",
        "channels",
        "1024 KiB",
        "I/OAT",
        "/sys/bus/pci/devices",
        "0x8086",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}
