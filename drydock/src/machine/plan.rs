//! What decides a run: a schedule, a strike and a fault. A plan is all that is needed to see a run again.

use std::fmt;

/// Who goes next, at every point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Whoever runs goes on until it waits.
    Straight,
    /// A random walk from this seed.
    Seed(u64),
    /// The nth of the possible choices, at each point that has several; straight on after the last.
    Explicit(Vec<u8>),
}

/// A kind of fault, and where it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bus answers with an error when a device touches its nth byte.
    BusError(u64),
    /// From the nth point on, devices and the engine's CPU stand still for this many microseconds.
    Stall {
        /// The point.
        at: u32,
        /// How long. `u32::MAX` means for ever.
        micros: u32,
    },
    /// At the nth point every interrupt handler runs once, although nothing has happened.
    InterruptEarly(u32),
}

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who goes next.
    pub schedule: Schedule,
    /// At which point the scenario's intruder acts.
    pub strike: Option<u32>,
    /// What breaks.
    pub fault: Option<Fault>,
}

impl Plan {
    /// Straight on, with nothing in the way.
    pub const fn straight() -> Self {
        Self {
            schedule: Schedule::Straight,
            strike: None,
            fault: None,
        }
    }

    /// A random walk.
    pub const fn seed(seed: u64) -> Self {
        Self {
            schedule: Schedule::Seed(seed),
            strike: None,
            fault: None,
        }
    }

    /// The same, with the intruder acting at `point`.
    #[must_use]
    pub fn strike_at(mut self, point: u32) -> Self {
        self.strike = Some(point);
        self
    }

    /// The same, with a fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Reads what [`Plan`]'s `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, fault) = match text.split_once('!') {
            Some((rest, fault)) => (rest, Some(parse_fault(fault)?)),
            None => (text, None),
        };
        let (schedule, strike) = match rest.split_once('@') {
            Some((schedule, point)) => (schedule, Some(number(point)?)),
            None => (rest, None),
        };
        Some(Self {
            schedule: parse_schedule(schedule)?,
            strike,
            fault,
        })
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `parse` would take a leading plus, which no code of ours has.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn parse_schedule(text: &str) -> Option<Schedule> {
    if text == "straight" {
        return Some(Schedule::Straight);
    }
    match text.split_at_checked(1)? {
        ("s", seed) if !seed.starts_with('+') => Some(Schedule::Seed(u64::from_str_radix(seed, 16).ok()?)),
        ("x", choices) => {
            let choices = choices
                .chars()
                .map(|c| c.to_digit(36).and_then(|d| u8::try_from(d).ok()));
            Some(Schedule::Explicit(choices.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn parse_fault(text: &str) -> Option<Fault> {
    let (name, place) = text.split_once('@')?;
    match name {
        "bus-error" => Some(Fault::BusError(number(place)?)),
        "early-interrupt" => Some(Fault::InterruptEarly(number(place)?)),
        "stall" => {
            let (at, micros) = place.split_once('+')?;
            let micros = if micros == "ever" {
                u32::MAX
            } else {
                number(micros)?
            };
            Some(Fault::Stall {
                at: number(at)?,
                micros,
            })
        }
        _ => None,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BusError(byte) => write!(f, "bus-error@{byte}"),
            Self::Stall { at, micros: u32::MAX } => write!(f, "stall@{at}+ever"),
            Self::Stall { at, micros } => write!(f, "stall@{at}+{micros}"),
            Self::InterruptEarly(at) => write!(f, "early-interrupt@{at}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schedule {
            Schedule::Straight => f.write_str("straight")?,
            Schedule::Seed(seed) => write!(f, "s{seed:x}")?,
            Schedule::Explicit(choices) => {
                f.write_str("x")?;
                for &choice in choices {
                    write!(
                        f,
                        "{}",
                        char::from_digit(u32::from(choice).min(35), 36).unwrap_or('z')
                    )?;
                }
            }
        }
        if let Some(point) = self.strike {
            write!(f, "@{point}")?;
        }
        if let Some(fault) = &self.fault {
            write!(f, "!{fault}")?;
        }
        Ok(())
    }
}

/// A small, fast generator of numbers that are random enough to explore with. Part of the replay format.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`, which is small.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_as_it_was_written() {
        let plans = [
            Plan::straight(),
            Plan::seed(0x2a),
            Plan::straight().strike_at(17),
            Plan {
                schedule: Schedule::Explicit(vec![0, 3, 11]),
                strike: Some(2),
                fault: None,
            },
            Plan::seed(u64::MAX).strike_at(0).with_fault(Fault::BusError(12)),
            Plan::seed(1).with_fault(Fault::Stall {
                at: 4,
                micros: u32::MAX,
            }),
            Plan::seed(1).with_fault(Fault::Stall { at: 4, micros: 50 }),
            Plan::straight().with_fault(Fault::InterruptEarly(9)),
        ];
        for plan in plans {
            assert_eq!(Plan::parse(&plan.to_string()), Some(plan));
        }
    }

    #[test]
    fn nonsense_is_no_plan() {
        for text in [
            "",
            "s",
            "sxyz",
            "s+1",
            "y1",
            "straight@",
            "straight@+1",
            "s1@2!",
            "s1!bus-error",
            "s1!fire@1",
            "x!",
        ] {
            assert_eq!(Plan::parse(text), None, "{text}");
        }
    }
}
