//! Each call in each state of a bus master's context.
//!
//! A bus master moves its own bytes. Nobody tells when it is done, so what is mapped waits for its flush alone; and it
//! gives its channel back while its device works (WDM-270).
//!
//! * `driver`: its driver, call by call;
//! * `expect`: what each call must say.

mod driver;
mod expect;

use super::MATRIX_SEEDS;
use super::calls::Call;
use super::expect::Said;
use crate::explore::{Scenario, Target};
use crate::machine::Machine;
use crate::suites::Check;
use driver::Driver;
use expect::{after, said};
use longshore_core::{NtStatus, Passive};
use longshore_hardware::BusAddress;
use longshore_wdm::{DeviceDescription, IoAllocationAction, MapRegisters, Platform, Policy, State};

/// How many map registers there are.
const REGISTERS: u32 = 4;

/// Where the map registers end: the device reaches them.
const REACH: u64 = 1 << 16;

/// How many address bits the device drives.
const WIDTH: u32 = 32;

/// Where a bus master's context stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Blank,
    Ready,
    Pre,
    Wait,
    Own,
    Done,
    Kept,
    KeptDone,
    Loose,
    LooseDone,
}

impl Place {
    const ALL: [Self; 10] = [
        Self::Blank,
        Self::Ready,
        Self::Pre,
        Self::Wait,
        Self::Own,
        Self::Done,
        Self::Kept,
        Self::KeptDone,
        Self::Loose,
        Self::LooseDone,
    ];

    /// It holds the channel.
    fn holds(self) -> bool {
        matches!(self, Self::Own | Self::Done)
    }

    fn is_mapped(self) -> bool {
        matches!(self, Self::Done | Self::KeptDone | Self::LooseDone)
    }

    /// It gave the channel back, and may go on.
    fn gave_back(self) -> bool {
        matches!(self, Self::Kept | Self::KeptDone | Self::Loose | Self::LooseDone)
    }

    /// Whether a context that has registers, or one that has none, comes here.
    fn has(self, registers: bool) -> bool {
        match self {
            Self::Kept | Self::KeptDone => registers,
            Self::Loose | Self::LooseDone => !registers,
            _ => true,
        }
    }

    /// Whether there is such a call: a channel that the context holds, or waits for, is not free; and only a context
    /// that has registers can name them.
    fn allows(self, call: Call, registers: bool) -> bool {
        match call {
            // A bus master's loops are its device's own, and a queue is a queue.
            Call::MapLoop | Call::OtherQueues => false,
            Call::AllocateNow => !self.holds() && self != Self::Wait,
            Call::FreeRegisters => registers && (self.holds() || self.gave_back()),
            _ => true,
        }
    }

    fn state(self) -> State {
        match self {
            Self::Blank => State::Blank,
            Self::Ready => State::Ready,
            Self::Pre => State::Pre,
            Self::Wait => State::Wait,
            Self::Own => State::Own,
            Self::Done => State::Done,
            Self::Kept => State::Kept,
            Self::KeptDone => State::KeptDone,
            Self::Loose => State::Loose,
            Self::LooseDone => State::LooseDone,
        }
    }
}

/// Checks what the stack of this project says to bus masters.
pub fn check_bus_master() -> Check {
    let scenarios = Pair::all().map(|(name, pair)| {
        Scenario::new(name, move |machine: &Machine, passive| pair.run(machine, passive))
            .with_at_most(MATRIX_SEEDS)
    });
    Check::new(Target {
        name: "bus-master".to_owned(),
        suite: "controller",
        scenarios: scenarios.collect(),
    })
}

/// A call in a state, of a context with map registers or without.
#[derive(Clone, Copy)]
struct Pair {
    at: Place,
    call: Call,
    registers: bool,
}

/// A context in a state, and others beside it.
struct Stage {
    driver: Driver,
    other: Driver,
    /// Holds the channel where somebody else must.
    holder: Driver,
    registers: MapRegisters<Machine>,
}

impl Pair {
    /// Every pair that can be, with its name, such as `kept-then-map` or `own-bare-then-map`.
    fn all() -> impl Iterator<Item = (String, Self)> {
        let each = |at: Place| [(at, true), (at, false)];
        Place::ALL.into_iter().flat_map(each).flat_map(|(at, registers)| {
            let can = move |call: &&Call| at.has(registers) && at.allows(**call, registers);
            Call::ALL.iter().filter(can).map(move |&call| {
                let bare = if registers { "" } else { "-bare" };
                let name = format!("{at:?}{bare}-then-{call:?}").to_lowercase();
                (name, Self { at, call, registers })
            })
        })
    }

    fn run(self, machine: &Machine, passive: &mut Passive) {
        let Some(mut stage) = self.stage(machine, passive) else {
            return;
        };
        if stage.bring(self.at, passive) {
            let answer = stage.call(self, passive);
            self.judge(&stage, answer, passive);
        } else {
            let state = stage.driver.state(passive);
            stage.driver.require(false, "WDM-245", || {
                format!(
                    "a bus master's context came to {state:?} on its way to {:?}",
                    self.at
                )
            });
        }
        stage.strike_set(passive);
    }

    fn stage(self, machine: &Machine, passive: &Passive) -> Option<Stage> {
        let registers = MapRegisters::new(passive, machine, REGISTERS, BusAddress::new(REACH)).ok()?;
        let policy = Policy {
            forget_cancel_at_flush: self.call == Call::FlushForgets,
            ..Policy::default()
        };
        let platform = Platform::new(machine, Some(registers.clone()), policy);
        let description = DeviceDescription {
            maximum_length: 4096,
            ..DeviceDescription::bus_master(WIDTH)
        };
        let adapter = platform.adapter(passive, description).ok()?;
        let driver = |registers| Driver::new(machine, passive, &adapter, registers);
        Some(Stage {
            driver: driver(self.registers)?,
            other: driver(false)?,
            holder: driver(false)?,
            registers,
        })
    }

    fn judge(self, stage: &Stage, answer: Said, passive: &Passive) {
        let Self { at, call, registers } = self;
        let driver = &stage.driver;
        let wanted = said(at, call);
        let right = match (wanted, answer) {
            (Said::No, Said::Status(status)) => status != NtStatus::SUCCESS,
            (wanted, answer) => wanted == answer,
        };
        driver.require(right, rule(call), || {
            format!("{call:?} in {at:?} said {answer:?} to a bus master, which should be {wanted:?}")
        });
        let (state, wanted) = (driver.state(passive), after(at, call, registers));
        driver.require(state == wanted, rule(call), || {
            format!("{call:?} in {at:?} left a bus master's context {state:?}, which should be {wanted:?}")
        });
        let out = matches!(wanted, State::Own | State::Done | State::Kept | State::KeptDone);
        let (in_use, wanted) = (stage.registers.in_use(), u32::from(out && registers));
        driver.require(in_use == wanted, rule(call), || {
            format!("{call:?} in {at:?}: {in_use} map registers are out, which should be {wanted}")
        });
        if at.is_mapped() && matches!(call, Call::Flush | Call::FlushForgets) {
            driver.check_data();
        }
    }
}

/// The rule that says most about a call's answers.
fn rule(call: Call) -> &'static str {
    match call {
        Call::CancelMapped => "A-09",
        Call::Configure => "WDM-210",
        Call::Map | Call::KeepRegisters => "WDM-270",
        call => super::states::rule(call),
    }
}

impl Stage {
    /// Brings the context into a state. What is mapped, the device has moved.
    fn bring(&mut self, at: Place, passive: &mut Passive) -> bool {
        let driver = &mut self.driver;
        if at == Place::Blank {
            driver.context = Default::default();
        }
        if at == Place::Pre {
            driver.cancel(passive);
        }
        if at == Place::Wait && self.holder.allocate(passive, false) == Said::Yes {
            driver.allocate(passive, true);
        }
        if at.holds() || at.gave_back() {
            driver.allocate(passive, false);
        }
        if at.is_mapped() {
            driver.map(passive);
        }
        if at.gave_back() {
            // With what is mapped, and before the device has moved it.
            driver.free_object(passive, IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS);
        }
        if at.is_mapped() {
            driver.work();
        }
        driver.state(passive) == at.state()
    }

    fn call(&mut self, Pair { at, call, .. }: Pair, passive: &mut Passive) -> Said {
        if call == Call::AllocateBusy && !at.holds() && at != Place::Wait {
            self.holder.allocate(passive, false);
        }
        let driver = &mut self.driver;
        let adapter = driver.adapter.clone();
        match call {
            Call::Initialize => driver.initialize(passive),
            Call::Allocate => driver.allocate(passive, true),
            Call::AllocateNow | Call::AllocateBusy => driver.allocate(passive, false),
            Call::OtherNow => self.other.allocate(passive, false),
            Call::CancelAllocation => driver.cancel(passive),
            Call::Configure => match adapter.configure(&*passive, &driver.context, 0x8fff, 0) {
                Ok(_) => Said::Yes,
                Err(refusal) => Said::Status(refusal.status()),
            },
            Call::CancelMapped => match adapter.cancel_mapped(&*passive, &driver.context) {
                Ok(()) => Said::Yes,
                Err(refusal) => Said::Status(refusal.status()),
            },
            Call::ReadCounter => {
                let left = adapter.read_counter(&*passive);
                driver.require(left == 0, "A-19", || {
                    format!("a bus master's counter in {at:?} reads {left}")
                });
                Said::Yes
            }
            Call::Map => driver.map(passive),
            Call::Flush | Call::FlushForgets => driver.flush(passive),
            Call::FreeRegisters => driver.free_registers(passive),
            Call::Deallocate => driver.free_object(passive, IoAllocationAction::DEALLOCATE_OBJECT),
            Call::KeepRegisters => {
                driver.free_object(passive, IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS)
            }
            Call::Keep => driver.free_object(passive, IoAllocationAction::KEEP_OBJECT),
            Call::Put => match adapter.put(&*passive) {
                Ok(()) => Said::Yes,
                Err(refused) => Said::Status(refused.why.status()),
            },
            _ => driver.free_channel(passive),
        }
    }

    /// Takes everything away again: nothing is left out.
    fn strike_set(&self, passive: &mut Passive) {
        // Who waits goes first, so that nobody is granted what the other one frees.
        for driver in [&self.driver, &self.other, &self.holder] {
            driver.release(passive);
        }
        let in_use = self.registers.in_use();
        self.driver.require(in_use == 0, "PAIN-18", || {
            format!("{in_use} map registers were not given back")
        });
        let put = self.driver.adapter.clone().put(&*passive);
        self.driver.require(put.is_ok(), "WDM-106", || {
            format!("an adapter with nothing outstanding was not put back: {put:?}")
        });
    }
}
