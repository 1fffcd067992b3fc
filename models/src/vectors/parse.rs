//! From text to vectors.

use super::{Action, Expected, Vector};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

/// The most bytes, units or cycles that one line may speak of.
const MOST: usize = 0x4_0000;

/// A line that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Its number, from one.
    pub line: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

impl core::error::Error for ParseError {}

type Parsed<T> = Result<T, &'static str>;

/// Reads vectors. Their names must differ.
pub fn parse(text: &str) -> Result<Vec<Vector>, ParseError> {
    let mut vectors: Vec<Vector> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            parse_line(number, line, &mut vectors).map_err(|expected| ParseError {
                line: number,
                expected,
            })?;
        }
    }
    Ok(vectors)
}

fn parse_line(number: usize, line: &str, vectors: &mut Vec<Vector>) -> Parsed<()> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    if verb == "vector" {
        if rest.is_empty() || vectors.iter().any(|vector| vector.name == rest) {
            return Err("a name that no other vector has");
        }
        vectors.push(Vector {
            name: rest.to_string(),
            lines: Vec::new(),
        });
        return Ok(());
    }
    let vector = vectors.last_mut().ok_or("a vector's name before its lines")?;
    vector.lines.push((number, parse_action(verb, rest.trim())?));
    Ok(())
}

fn parse_action(verb: &str, rest: &str) -> Parsed<Action> {
    match verb {
        "out" => rest
            .split_whitespace()
            .map(out)
            .collect::<Parsed<_>>()
            .map(Action::Out),
        "in" => rest
            .split_whitespace()
            .map(expected)
            .collect::<Parsed<_>>()
            .map(Action::In),
        "run" if rest.is_empty() => Ok(Action::Run { cycles: None }),
        "run" => Ok(Action::Run {
            cycles: Some(count(rest)?),
        }),
        "order" => Ok(Action::Order {
            channels: list(rest)?,
        }),
        "low" => Ok(Action::ActiveLow {
            channel: channel(rest)?,
        }),
        "ram" => split(rest).and_then(|(at, bytes)| {
            Ok(Action::Ram {
                address: address(at)?,
                bytes: list(bytes)?,
            })
        }),
        "is" => split(rest).and_then(|(at, bytes)| {
            Ok(Action::Is {
                address: address(at)?,
                bytes: list(bytes)?,
            })
        }),
        _ => {
            let (number, rest) = split(rest)?;
            on_channel(verb, channel(number)?, rest)
        }
    }
}

fn on_channel(verb: &str, channel: u8, rest: &str) -> Parsed<Action> {
    Ok(match verb {
        "stock" => Action::Stock {
            channel,
            units: list(rest)?,
        },
        "give" => Action::Give {
            channel,
            units: list(rest)?,
        },
        "ask" => Action::Ask {
            channel,
            cycles: count(rest)?,
        },
        "eop" => Action::Eop {
            channel,
            cycle: count(rest)?,
        },
        "got" => Action::Got {
            channel,
            units: list(rest)?,
        },
        "left" => Action::Left {
            channel,
            units: count(rest)?,
        },
        "tc" => Action::Tc {
            channel,
            cycles: list(rest)?,
        },
        "dack" => Action::Dack {
            channel,
            high: high(rest)?,
        },
        _ => return Err("a verb of the format"),
    })
}

fn split(text: &str) -> Parsed<(&str, &str)> {
    let (left, right) = text.split_once(':').ok_or("a colon")?;
    Ok((left.trim(), right.trim()))
}

fn out(text: &str) -> Parsed<(u16, u8)> {
    let (port, value) = text.split_once('=').ok_or("port=value")?;
    Ok((number(port)?, number(value)?))
}

fn expected(text: &str) -> Parsed<Expected> {
    let (text, mask) = text.split_once('/').unwrap_or((text, "ff"));
    let (port, value) = out(text)?;
    Ok(Expected {
        port,
        value,
        mask: number(mask)?,
    })
}

fn channel(text: &str) -> Parsed<u8> {
    match number(text)? {
        channel @ 0..8 => Ok(channel),
        _ => Err("a channel from 0 to 7"),
    }
}

fn address(text: &str) -> Parsed<u32> {
    match number(text)? {
        address @ 0..0x100_0000 => Ok(address),
        _ => Err("a 24-bit address"),
    }
}

fn count(text: &str) -> Parsed<u32> {
    match number(text)? {
        count if count as usize <= MOST => Ok(count),
        _ => Err("a count of at most 40000"),
    }
}

fn high(text: &str) -> Parsed<bool> {
    match text {
        "high" => Ok(true),
        "low" => Ok(false),
        _ => Err("high or low"),
    }
}

/// Numbers, each with `*times` behind it or not; `-` for none.
fn list<T: TryFrom<u32> + Clone>(text: &str) -> Parsed<Vec<T>> {
    let mut values = Vec::new();
    for item in text.split_whitespace().filter(|&item| item != "-") {
        let (value, times) = item.split_once('*').unwrap_or((item, "1"));
        let len = values.len() + count(times)? as usize;
        if len > MOST {
            return Err("a shorter list");
        }
        values.resize(len, number(value)?);
    }
    Ok(values)
}

fn number<T: TryFrom<u32>>(text: &str) -> Parsed<T> {
    let value = u32::from_str_radix(text, 16).map_err(|_| "a hexadecimal number")?;
    T::try_from(value).map_err(|_| "a smaller number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        let lines = [
            "out 0a=100",
            "out 10000=0",
            "in 08",
            "ram 1000000: 00",
            "ram 0 11",
            "give 8: 00",
            "run x",
            "is 0: 0*40001",
            "is 0: 0*40000 0",
            "dack 1: up",
            "sing 1: 2",
            "order 100",
        ];
        for line in lines {
            let text = alloc::format!("# head\nvector a/b\n{line}\n");
            assert_eq!(parse(&text).map_err(|error| error.line), Err(3), "{line}");
        }
        assert_eq!(parse("run").map_err(|error| error.line), Err(1));
        assert_eq!(parse("vector a\nvector a").map_err(|error| error.line), Err(2));
    }
}
