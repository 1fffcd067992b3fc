//! Doing what a vector says.

use super::devices::Devices;
use super::{Action, Expected, Vector};
use crate::i8237::Requester;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The most steps one `run` may take: twice the bytes of the longest block, and some more.
const MOST_STEPS: u32 = 0x4_0000;

/// A machine with two 8237A, page registers and 16 MiB of memory, as it is after power-on. A vector is run on a new one.
pub trait Subject {
    /// The CPU writes a port. The request lines have the levels that `devices` tell.
    fn write(&mut self, port: u16, value: u8, devices: &mut dyn Requester);

    /// The CPU reads a port.
    fn read(&mut self, port: u16, devices: &mut dyn Requester) -> u8;

    /// Fills memory, before or between transfers. All of it is zero at first.
    fn load(&mut self, address: u32, bytes: &[u8]);

    /// Looks at memory.
    fn dump(&mut self, address: u32, bytes: &mut [u8]);

    /// Lets at most one transfer happen, and says whether there was something to do. Half of a memory-to-memory
    /// transfer counts as something.
    fn step(&mut self, devices: &mut dyn Requester) -> bool;
}

/// Where a subject differed from a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The vector's name.
    pub vector: String,
    /// The line of the text.
    pub line: usize,
    /// What was expected and what was seen.
    pub difference: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}): {}", self.vector, self.line, self.difference)
    }
}

impl core::error::Error for Failure {}

impl Vector {
    /// Runs the vector up to the first difference.
    pub fn run(&self, subject: &mut dyn Subject) -> Result<(), Failure> {
        let mut devices = Devices::default();
        for (line, action) in &self.lines {
            perform(action, subject, &mut devices).map_err(|difference| Failure {
                vector: self.name.clone(),
                line: *line,
                difference,
            })?;
        }
        Ok(())
    }
}

fn perform(action: &Action, subject: &mut dyn Subject, devices: &mut Devices) -> Result<(), String> {
    match action {
        Action::Out(writes) => {
            for &(port, value) in writes {
                subject.write(port, value, devices);
            }
        }
        Action::Ram { address, bytes } => subject.load(*address, bytes),
        Action::Stock { channel, units } => devices.on(*channel).stock.extend(units),
        Action::Give { channel, units } => {
            let device = devices.on(*channel);
            device.stock.extend(units);
            device.asks += units.len() as u32;
        }
        Action::Ask { channel, cycles } => devices.on(*channel).asks = *cycles,
        Action::ActiveLow { channel } => devices.on(*channel).active_low = true,
        Action::Eop { channel, cycle } => devices.on(*channel).eop = Some(*cycle),
        Action::Run { cycles } => return run(*cycles, subject, devices),
        seen => return compare(seen, subject, devices),
    }
    Ok(())
}

fn compare(expected: &Action, subject: &mut dyn Subject, devices: &mut Devices) -> Result<(), String> {
    match expected {
        Action::In(reads) => reads
            .iter()
            .try_for_each(|read| read_port(*read, subject, devices)),
        Action::Is { address, bytes } => {
            let mut seen = vec![0; bytes.len()];
            subject.dump(*address, &mut seen);
            same(&format!("memory from {address:06x}"), bytes, &seen)
        }
        Action::Got { channel, units } => same("the device got", units, &devices.on(*channel).got),
        Action::Left { channel, units } => same(
            "left to give",
            &[*units],
            &[devices.on(*channel).stock.len() as u32],
        ),
        Action::Tc { channel, cycles } => same("TC in cycles", cycles, &devices.on(*channel).terminal),
        Action::Dack { channel, high } => match devices.on(*channel).dack {
            Some(level) if level == *high => Ok(()),
            seen => Err(format!("DACK is high: expected {high}, saw {seen:?}")),
        },
        Action::Order { channels } => {
            let seen = core::mem::take(&mut devices.order);
            same("channels served", channels, &seen)
        }
        _ => Ok(()),
    }
}

fn read_port(expected: Expected, subject: &mut dyn Subject, devices: &mut Devices) -> Result<(), String> {
    let Expected { port, value, mask } = expected;
    let seen = subject.read(port, devices);
    if (seen ^ value) & mask == 0 {
        Ok(())
    } else {
        Err(format!(
            "port {port:02x}: expected {value:02x} (mask {mask:02x}), saw {seen:02x}"
        ))
    }
}

/// Runs until nothing is left to do, or until the devices saw so many cycles.
fn run(cycles: Option<u32>, subject: &mut dyn Subject, devices: &mut Devices) -> Result<(), String> {
    let start = devices.cycles;
    for _ in 0..MOST_STEPS {
        let enough = cycles.is_some_and(|cycles| devices.cycles - start >= cycles);
        if enough || !subject.step(devices) {
            return Ok(());
        }
    }
    Err(format!("still busy after {MOST_STEPS} steps"))
}

fn same<T: PartialEq + fmt::LowerHex>(what: &str, expected: &[T], seen: &[T]) -> Result<(), String> {
    if expected == seen {
        return Ok(());
    }
    let at = expected.iter().zip(seen).take_while(|(a, b)| a == b).count();
    let show = |list: &[T]| {
        let shown: Vec<String> = list
            .iter()
            .skip(at)
            .take(8)
            .map(|value| format!("{value:02x}"))
            .collect();
        shown.join(" ")
    };
    Err(format!(
        "{what}: from number {at} on expected [{}] of {}, saw [{}] of {}",
        show(expected),
        expected.len(),
        show(seen),
        seen.len()
    ))
}
