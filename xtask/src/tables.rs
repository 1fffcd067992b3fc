//! The state tables as text, written from the functions that the code itself runs.

use longshore_ndis::{life, state as ndis};
use longshore_netdma::state as netdma;
use longshore_wdm::state as wdm;
use longshore_wdm::verifier::{CODES, Entry, Seen};
use std::io;
use std::path::Path;

const PAGE: &str = "docs/tables.md";

const HEAD: &str = "# The tables

Each state machine of longshore is one function: from a state, and from what happens, to the next state and to what is
done about it. It answers every pair. This page is written from those functions by `cargo xtask tables --update`, and
`cargo xtask rules` fails when it says something else than they do. A cell says what is done and, if it is another one,
the next state. The last table is a list: what Windows' own verifier stops a machine for.
";

/// What stands under a table some of whose pairs cannot happen, before the reasons.
const DASH: &str = "\nA dash: it cannot happen.\n\n";

/// Writes the page.
pub(crate) fn update(root: &Path) -> io::Result<()> {
    std::fs::write(root.join(PAGE), page())
}

/// Prints the page.
pub(crate) fn print() -> io::Result<()> {
    io::Write::write_all(&mut io::stdout().lock(), page().as_bytes())
}

/// What is wrong with the page as it stands, if anything.
pub(crate) fn stale(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    (text != page())
        .then(|| format!("{PAGE} is not what the tables say; `cargo xtask tables --update` writes it anew"))
}

fn page() -> String {
    [
        HEAD.to_owned(),
        of_netdma(),
        of_wdm(),
        of_miniport(),
        of_ndis(),
        of_verifier(),
    ]
    .join("\n")
}

fn of_netdma() -> String {
    let inputs = netdma::Input::ALL.map(netdma::Input::name);
    let rows = netdma::State::ALL.map(|state| {
        let cells = netdma::Input::ALL.map(|input| match netdma::cannot_happen(state, input) {
            Some(_) => "–".to_owned(),
            None => {
                let (after, action) = netdma::step(state, input);
                cell(&words(&action), state.name(), after.name())
            }
        });
        (state.name(), cells.to_vec())
    });
    let source = "netdma/src/state.rs";
    let pairs = netdma::Input::ALL.into_iter().flat_map(|input| {
        netdma::State::ALL.map(move |state| (state.name(), input.name(), netdma::cannot_happen(state, input)))
    });
    table(netdma::TABLE, source, &inputs, &rows) + DASH + &reasons(pairs)
}

/// Why some pairs cannot happen, one line for each reason: each event and its states.
fn reasons(pairs: impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)>) -> String {
    type Events = Vec<(&'static str, Vec<&'static str>)>;
    let mut lines: Vec<(&str, Events)> = Vec::new();
    for (state, input, why) in pairs {
        let Some(why) = why else { continue };
        let line = lines.iter().position(|(reason, _)| *reason == why);
        let line = line.unwrap_or_else(|| {
            lines.push((why, Vec::new()));
            lines.len() - 1
        });
        let events = &mut lines[line].1;
        match events.last_mut().filter(|(event, _)| *event == input) {
            Some((_, states)) => states.push(state),
            None => events.push((input, vec![state])),
        }
    }
    let event = |(event, states): (&str, Vec<&str>)| format!("{event} in {}", states.join(", "));
    let line = |(why, events): (&str, Events)| {
        let events: Vec<_> = events.into_iter().map(event).collect();
        format!("* {}: {why}.\n", events.join("; "))
    };
    lines.into_iter().map(line).collect()
}

fn of_wdm() -> String {
    let inputs: Vec<_> = wdm::Input::ALL.iter().map(|input| input.name()).collect();
    let row = |state: &wdm::State| {
        let cells = wdm::Input::ALL.iter().map(|&input| {
            if wdm::cannot_happen(*state, input).is_some() {
                return "–".to_owned();
            }
            let (after, answer) = wdm::next(*state, input);
            let said = match answer {
                wdm::Answer::Refuse(refusal) => format!("refuse: {}", words(&refusal)),
                answer => words(&answer),
            };
            cell(&said, state.name(), after.name())
        });
        (state.name(), cells.collect())
    };
    let rows: Vec<_> = wdm::State::ALL.iter().map(row).collect();
    let pairs = wdm::Input::ALL.iter().flat_map(|&input| {
        wdm::State::ALL
            .iter()
            .map(move |&state| (state.name(), input.name(), wdm::cannot_happen(state, input)))
    });
    table(wdm::TABLE, "wdm/src/state.rs", &inputs, &rows) + DASH + &reasons(pairs)
}

fn of_miniport() -> String {
    let inputs: Vec<_> = life::Input::ALL.iter().map(|input| input.name()).collect();
    let row = |phase: &life::Phase| {
        let cells = life::Input::ALL.iter().map(|&input| {
            if life::cannot_happen(*phase, input).is_some() {
                return "–".to_owned();
            }
            let (after, answer) = life::next(*phase, input);
            cell(&answered(answer), phase.name(), after.name())
        });
        (phase.name(), cells.collect())
    };
    let rows: Vec<_> = life::Phase::ALL.iter().map(row).collect();
    let pairs = life::Input::ALL.iter().flat_map(|&input| {
        life::Phase::ALL
            .iter()
            .map(move |&phase| (phase.name(), input.name(), life::cannot_happen(phase, input)))
    });
    table(life::TABLE, "ndis/src/life.rs", &inputs, &rows) + DASH + &reasons(pairs)
}

fn of_ndis() -> String {
    let inputs: Vec<_> = ndis::Input::ALL.iter().map(|input| input.name()).collect();
    let row = |state: &ndis::State| {
        let cells = ndis::Input::ALL.iter().map(|&input| {
            if ndis::cannot_happen(*state, input).is_some() {
                return "–".to_owned();
            }
            let (after, answer) = ndis::next(*state, input);
            cell(&answered(answer), state.name(), after.name())
        });
        (state.name(), cells.collect())
    };
    let rows: Vec<_> = ndis::State::ALL.iter().map(row).collect();
    let pairs = ndis::Input::ALL.iter().flat_map(|&input| {
        ndis::State::ALL
            .iter()
            .map(move |&state| (state.name(), input.name(), ndis::cannot_happen(state, input)))
    });
    table(ndis::TABLE, "ndis/src/state.rs", &inputs, &rows) + DASH + &reasons(pairs)
}

/// What one of NDIS's tables answers.
fn answered(answer: ndis::Answer) -> String {
    match answer {
        ndis::Answer::Misuse(rule) => format!("refuse: {}", rule.0),
        answer => words(&answer),
    }
}

/// What Windows' verifier stops for, one line for each code.
fn of_verifier() -> String {
    let mut text = "## Windows' DMA verifier\n\n".to_owned();
    text += "From [`wdm/src/verifier.rs`](../wdm/src/verifier.rs): the first parameter of bug check 0xE6, and where it is seen.\n\n";
    text += "| Code | What the driver did | Seen |\n|---|---|---|\n";
    for Entry { code, what, seen } in CODES {
        let seen = match seen {
            Seen::Here => "by an event",
            Seen::InC => "at the edge to C, by an event",
            Seen::InTheDryDock => "in the dry dock",
            Seen::Nowhere(why) => &format!("nowhere: {why}"),
        };
        text += &format!("| 0x{:02X} | {what} | {seen} |\n", code.0);
    }
    text
}

fn cell(said: &str, before: &str, after: &str) -> String {
    if before == after {
        said.to_owned()
    } else {
        format!("{said} → {after}")
    }
}

/// One row for each event, so that the page stays narrow; one column for each state.
fn table(name: &str, source: &str, inputs: &[&str], rows: &[(&str, Vec<String>)]) -> String {
    let states: Vec<_> = rows.iter().map(|(state, _)| *state).collect();
    let mut text = format!("## {name}\n\nFrom [`{source}`](../{source}).\n\n");
    text += &format!("| | {} |\n", states.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(states.len()));
    for (index, input) in inputs.iter().enumerate() {
        let cells: Vec<_> = rows.iter().map(|(_, cells)| cells[index].as_str()).collect();
        text += &format!("| {input} | {} |\n", cells.join(" | "));
    }
    text
}

/// `WriteHalted` as "write halted".
fn words(name: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for (index, letter) in format!("{name:?}").char_indices() {
        if letter.is_uppercase() && index > 0 {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_there_with_every_pair() {
        let page = page();
        for (name, states, inputs) in [
            (netdma::TABLE, netdma::State::ALL.len(), netdma::Input::ALL.len()),
            (wdm::TABLE, wdm::State::ALL.len(), wdm::Input::ALL.len()),
            (life::TABLE, life::Phase::ALL.len(), life::Input::ALL.len()),
            (ndis::TABLE, ndis::State::ALL.len(), ndis::Input::ALL.len()),
        ] {
            let part = page.split("\n## ").find(|part| part.starts_with(name)).unwrap();
            let rows: Vec<_> = part.lines().filter(|line| line.starts_with("| ")).collect();
            assert_eq!(rows.len(), inputs + 1, "{name}");
            for row in rows {
                assert_eq!(row.matches(" |").count(), states + 1, "{row}");
            }
        }
        let dashes = |name: &str| {
            let part = page.split("\n## ").find(|part| part.starts_with(name));
            part.map_or(0, |part| part.matches(" – |").count())
        };
        assert_eq!((dashes(life::TABLE), dashes(ndis::TABLE)), (10, 13));
        let codes = page.lines().filter(|line| line.starts_with("| 0x")).count();
        assert_eq!(codes, CODES.len());
        assert!(page.contains("| Abort | write halted → Aborted |"), "{page}");
    }

    #[test]
    fn a_page_that_is_not_there_is_stale() {
        assert!(stale(Path::new("/nonexistent")).is_some());
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words(&netdma::Action::ReleaseIfDrained), "release if drained");
    }
}
