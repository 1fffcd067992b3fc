//! The state tables as text, written from the functions that the code itself runs.

use longshore_ndis::state as ndis;
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
    [HEAD.to_owned(), of_netdma(), of_wdm(), of_ndis(), of_verifier()].join("\n")
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
    table(netdma::TABLE, source, &inputs, &rows) + "\nA dash: it cannot happen.\n\n" + &reasons()
}

/// Why some pairs cannot happen, one line for each reason.
fn reasons() -> String {
    let pairs = netdma::Input::ALL
        .into_iter()
        .flat_map(|input| netdma::State::ALL.map(|state| (state, input)));
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for (state, input) in pairs {
        let Some(why) = netdma::cannot_happen(state, input) else {
            continue;
        };
        let pair = format!("{} in {}", input.name(), state.name());
        match lines.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, pairs)) => pairs.push(pair),
            None => lines.push((why, vec![pair])),
        }
    }
    let line = |(why, pairs): (&str, Vec<String>)| format!("* {}: {why}.\n", pairs.join(", "));
    lines.into_iter().map(line).collect()
}

fn of_wdm() -> String {
    let inputs: Vec<_> = wdm::Input::ALL.iter().map(|input| input.name()).collect();
    let row = |state: &wdm::State| {
        let cells = wdm::Input::ALL.iter().map(|&input| {
            if wdm::cannot_happen(*state, input) {
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
    table(wdm::TABLE, "wdm/src/state.rs", &inputs, &rows)
        + "\nA dash: it cannot happen, for the system makes it elsewhere.\n"
}

fn of_ndis() -> String {
    let inputs: Vec<_> = ndis::Input::ALL.iter().map(|input| input.name()).collect();
    let row = |state: &ndis::State| {
        let cells = ndis::Input::ALL.iter().map(|&input| {
            let (after, answer) = ndis::next(*state, input);
            let said = match answer {
                ndis::Answer::Misuse(rule) => format!("refuse: {}", rule.0),
                answer => words(&answer),
            };
            cell(&said, state.name(), after.name())
        });
        (state.name(), cells.collect())
    };
    let rows: Vec<_> = ndis::State::ALL.iter().map(row).collect();
    table(ndis::TABLE, "ndis/src/state.rs", &inputs, &rows)
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
            (ndis::TABLE, ndis::State::ALL.len(), ndis::Input::ALL.len()),
        ] {
            let part = page.split("\n## ").find(|part| part.starts_with(name)).unwrap();
            let rows: Vec<_> = part.lines().filter(|line| line.starts_with("| ")).collect();
            assert_eq!(rows.len(), inputs + 1, "{name}");
            for row in rows {
                assert_eq!(row.matches(" |").count(), states + 1, "{row}");
            }
        }
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
