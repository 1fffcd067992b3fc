//! The rules ledger: every numbered rule, where it comes from and how it is held.
//!
//! The ledger is plain text, one file per family, so that people can read and edit it. This module is the one
//! place that reads it: the reports take a rule's sentence and kind from here, and the project's chores check its
//! claims against the tests.

use std::fmt;

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of the five pages that were asked for.
    Seed,
    /// Stated by public documentation.
    Documented,
    /// Taken from a public header or its metadata.
    Header,
    /// Seen in published code or hardware.
    Observed,
    /// Follows from the others, but is stated nowhere.
    Inferred,
    /// The documents are silent or contradict each other; this is our choice.
    Choice,
}

impl Kind {
    /// The word for it in the ledger.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Documented => "documented",
            Self::Header => "header",
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Choice => "choice",
        }
    }

    /// Whether breaking such a rule is only a warning.
    pub const fn warns(self) -> bool {
        matches!(self, Self::Inferred | Self::Choice)
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Seed,
            Self::Documented,
            Self::Header,
            Self::Observed,
            Self::Inferred,
            Self::Choice,
        ];
        all.into_iter().find(|kind| kind.word() == word)
    }
}

/// How a rule is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// By a test that cites its number.
    Test,
    /// By a type; the file names where a compile-fail test shows it.
    Type(&'a str),
    /// It does not apply, for this reason.
    NotApplicable(&'a str),
    /// It will be held later, by whom.
    Later(&'a str),
    /// Nobody holds it yet.
    Open,
}

impl<'a> Held<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match text {
            "test" => Some(Self::Test),
            "open" => Some(Self::Open),
            _ => match text.split_once(": ")? {
                ("type", file) => Some(Self::Type(file)),
                ("n/a", reason) => Some(Self::NotApplicable(reason)),
                ("later", who) => Some(Self::Later(who)),
                _ => None,
            },
        }
    }
}

/// A rule of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its number, such as `NETDMA-092`.
    pub number: &'a str,
    /// What must hold.
    pub sentence: &'a str,
    /// Where it comes from.
    pub kind: Kind,
    /// The public source.
    pub source: &'a str,
    /// How it is held.
    pub held: Held<'a>,
}

/// A ledger file that cannot be read, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The families, in the order in which they are reported: name and text of the file.
pub const FAMILIES: [(&str, &str); 10] = [
    ("SEED", include_str!("../rules/SEED.txt")),
    ("WDM", include_str!("../rules/WDM.txt")),
    ("A", include_str!("../rules/A.txt")),
    ("R", include_str!("../rules/R.txt")),
    ("NDIS", include_str!("../rules/NDIS.txt")),
    ("NETDMA", include_str!("../rules/NETDMA.txt")),
    ("AMB", include_str!("../rules/AMB.txt")),
    ("RACE", include_str!("../rules/RACE.txt")),
    ("RL", include_str!("../rules/RL.txt")),
    ("PAIN", include_str!("../rules/PAIN.txt")),
];

/// Reads the text of one ledger file.
pub fn parse(text: &str) -> Result<Vec<Entry<'_>>, Malformed> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    while let Some((at, number)) = lines.next() {
        let wrong = |what: &str| Malformed {
            line: at + 1,
            what: format!("{number}: {what}"),
        };
        if number.starts_with(' ') {
            return Err(wrong("a rule begins with its number at the start of a line"));
        }
        if entries.iter().any(|entry| entry.number == number) {
            return Err(wrong("the number stands here twice"));
        }
        let mut field = |prefix: &str| {
            let (_, line) = lines.next()?;
            line.strip_prefix("  ")?.strip_prefix(prefix)
        };
        let sentence = field("").ok_or_else(|| wrong("the sentence is missing"))?;
        let kind = field("kind: ")
            .and_then(Kind::parse)
            .ok_or_else(|| wrong("the kind is missing or unknown"))?;
        let source = field("source: ").ok_or_else(|| wrong("the source is missing"))?;
        let held = field("held: ")
            .and_then(Held::parse)
            .ok_or_else(|| wrong("`held:` is missing or unknown"))?;
        entries.push(Entry {
            number,
            sentence,
            kind,
            source,
            held,
        });
    }
    Ok(entries)
}

/// The rule with this number.
pub fn find(number: &str) -> Option<Entry<'static>> {
    let family = number.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let (_, text) = FAMILIES.iter().find(|(name, _)| *name == family)?;
    parse(text).ok()?.into_iter().find(|entry| entry.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_reads_and_has_rules() {
        for (family, text) in FAMILIES {
            let entries = parse(text).unwrap_or_else(|wrong| panic!("{family}: {wrong}"));
            assert!(!entries.is_empty(), "{family}");
        }
    }

    #[test]
    fn a_number_finds_its_rule() {
        assert_eq!(find("SEED-004-6").map(|rule| rule.kind), Some(Kind::Seed));
        assert_eq!(find("RACE-1").map(|rule| rule.number), Some("RACE-1"));
        assert_eq!(find("R1").map(|rule| rule.number), Some("R1"));
        assert_eq!(find("A-06").map(|rule| rule.kind), Some(Kind::Choice));
        assert!(find("NETDMA-999").is_none() && find("").is_none());
    }

    #[test]
    fn a_malformed_block_names_its_line() {
        let text = "# comment\n\nX-1\n  A sentence.\n  kind: rumour\n  source: s\n  held: open\n";
        assert_eq!(parse(text).unwrap_err().line, 3);
        let twice = "X-1\n  S.\n  kind: seed\n  source: s\n  held: open\n".repeat(2);
        assert!(parse(&twice).is_err());
    }
}
