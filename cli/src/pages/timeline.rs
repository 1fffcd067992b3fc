//! A run of the dry dock as a few lines that a person reads: when, where, at which level, what.

use longshore_core::Irql;
use longshore_drydock::machine::Step;

/// What a step means to the reader of one page.
pub(super) enum Telling {
    /// Nothing.
    Silent,
    /// Something, in plain words.
    Words(String),
    /// Something that the device does, whoever was on the CPU then.
    Device(String),
    /// So many bytes of something that is moved piece by piece. Pieces in a row make one line.
    Bytes(String, u64),
}

/// The lines of the steps that mean something to `tell`.
pub(super) fn timeline(trace: &[Step], tell: impl Fn(&Step) -> Telling) -> Vec<String> {
    let mut lines: Vec<(String, Told)> = Vec::new();
    for step in trace {
        match (tell(step), lines.last_mut()) {
            (Telling::Silent, _) => {}
            (Telling::Bytes(what, more), Some((_, Told::Bytes(last, bytes)))) if *last == what => {
                *bytes += more
            }
            (Telling::Bytes(what, bytes), _) => lines.push((place(step), Told::Bytes(what, bytes))),
            (Telling::Words(words), _) => lines.push((place(step), Told::Words(words))),
            (Telling::Device(words), _) => {
                let step = Step { cpu: None, ..*step };
                lines.push((place(&step), Told::Words(words)));
            }
        }
    }
    lines
        .into_iter()
        .map(|(place, told)| match told {
            Told::Words(words) => format!("{place} {words}"),
            Told::Bytes(what, bytes) => format!("{place} {bytes} bytes {what}"),
        })
        .collect()
}

enum Told {
    Words(String),
    Bytes(String, u64),
}

fn place(step: &Step) -> String {
    let level = match step.level {
        Irql::PASSIVE => "PASSIVE",
        Irql::DISPATCH => "DISPATCH",
        _ => "DEVICE",
    };
    let who = match step.cpu {
        Some(cpu) => format!("cpu {cpu} {level}"),
        None => "device".to_owned(),
    };
    format!("  {:>3}.{:03} us  {who:<14}", step.at / 1000, step.at % 1000)
}
