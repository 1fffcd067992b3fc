//! A bus master's driver with one context, call by call, and its device.

use super::super::expect::Said;
use super::super::told::DEVICE;
use crate::machine::{FAR, Machine, Memory};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Passive, Rule};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, FlushRequest, IoAllocationAction, MapRequest, Refusal,
    RegisterBase, ScatterGather, State, TransferContext,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What the device writes.
const BYTES: [u8; 8] = [3, 8, 13, 18, 23, 28, 33, 38];

pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) adapter: Adapter<Machine>,
    pub(super) context: TransferContext,
    /// Whether its memory is beyond the device's reach, and it asks for a map register.
    registers: bool,
    buffer: Lease<Memory>,
    /// The base of its register, once it was granted.
    base: Arc<Mutex<Option<RegisterBase>>>,
    /// The element that the device was given.
    element: BusRange,
}

impl Driver {
    pub(super) fn new(
        machine: &Machine,
        passive: &Passive,
        adapter: &Adapter<Machine>,
        registers: bool,
    ) -> Option<Self> {
        let mut context = TransferContext::new();
        adapter.initialize_transfer_context(passive, &mut context).ok()?;
        let above = if registers { FAR } else { BusAddress::NULL };
        Some(Self {
            adapter: adapter.clone(),
            context,
            registers,
            buffer: Lease::new(machine.memory().above(above), BYTES.len() as u64, 8).ok()?,
            base: Arc::default(),
            element: BusRange::EMPTY,
            machine: machine.clone(),
        })
    }

    pub(super) fn require(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds && !self.machine.is_over() {
            self.machine.find(Rule(rule), what());
        }
    }

    pub(super) fn state(&self, passive: &Passive) -> State {
        self.adapter.poll(passive, &self.context).state
    }

    pub(super) fn initialize(&mut self, passive: &Passive) -> Said {
        let adapter = self.adapter.clone();
        let answer = adapter.initialize_transfer_context(passive, &mut self.context);
        said(answer)
    }

    /// Asks for the channel, now or never; or, if it may wait, with a routine that keeps what it is granted.
    pub(super) fn allocate(&self, passive: &mut Passive, waits: bool) -> Said {
        let note = Arc::clone(&self.base);
        let keep = move |base| *note.lock().unwrap_or_else(PoisonError::into_inner) = base;
        let routine = keep.clone();
        let request = Allocation {
            device_object: DEVICE,
            registers: self.count(),
            flags: if waits {
                AllocationFlags::ASYNCHRONOUS
            } else {
                AllocationFlags::SYNCHRONOUS
            },
            routine: waits.then(|| -> longshore_wdm::AdapterControl<Machine> {
                Box::new(move |_: &Dispatch, _: &_, granted| {
                    routine(granted.registers);
                    IoAllocationAction::KEEP_OBJECT
                })
            }),
        };
        let answer = self.machine.raise(passive, |dispatch| {
            self.adapter.allocate_channel(dispatch, &self.context, request)
        });
        match answer {
            Ok(base) => {
                if !waits {
                    keep(base);
                }
                Said::Yes
            }
            Err(refused) => Said::Status(refused.why.status()),
        }
    }

    fn count(&self) -> u32 {
        u32::from(self.registers)
    }

    /// Takes a request back that waits, or the next one.
    pub(super) fn cancel(&self, passive: &Passive) -> Said {
        let cancelled = self
            .adapter
            .cancel_adapter_channel(passive, &self.context, DEVICE);
        if cancelled { Said::Yes } else { Said::No }
    }

    /// Maps a receive into the whole buffer.
    pub(super) fn map(&mut self, passive: &Passive) -> Said {
        let pieces = [self.buffer.range()];
        let mut slots = [BusRange::EMPTY; 2];
        let mut list = ScatterGather::new(&mut slots);
        let request = MapRequest {
            list: Some(&mut list),
            ..MapRequest::new(Segments::new(&pieces), BYTES.len() as u32, false)
        };
        match self.adapter.map_transfer(passive, &self.context, request) {
            Ok(mapped) => {
                let elements = list.elements().to_vec();
                let whole = mapped as usize == BYTES.len() && elements.len() == 1;
                self.require(whole, "WDM-150", || {
                    format!("{mapped} bytes were mapped as {elements:?}")
                });
                let through = elements.first() != Some(&pieces[0]);
                self.require(through == self.registers, "WDM-160", || {
                    format!("{:?} was mapped as {elements:?}", pieces[0])
                });
                self.element = elements.first().copied().unwrap_or(BusRange::EMPTY);
                Said::Yes
            }
            Err(error) => Said::Status(error.status()),
        }
    }

    /// The device moves its bytes, whoever holds the channel by now.
    pub(super) fn work(&self) {
        let written = self.machine.device_memory().write(self.element.start(), &BYTES);
        self.require(written.is_ok(), "WDM-270", || {
            format!("the device could not write: {written:?}")
        });
    }

    /// What the device moved is where the driver finds it.
    pub(super) fn check_data(&self) {
        let mut bytes = [0; BYTES.len()];
        let _ = self.machine.memory().read(self.buffer.address(), &mut bytes);
        self.require(bytes == BYTES, "PAIN-08", || {
            format!("the device moved {BYTES:?}, memory holds {bytes:?}")
        });
    }

    pub(super) fn flush(&self, passive: &Passive) -> Said {
        let pieces = [self.buffer.range()];
        let request = FlushRequest {
            buffer: Segments::new(&pieces),
            offset: 0,
            length: BYTES.len() as u32,
            write_to_device: false,
        };
        match self.adapter.flush(passive, &self.context, request) {
            Ok(outcome) => {
                self.require(outcome.is_none(), "WDM-159", || {
                    format!("a bus master's mapping had an outcome: {outcome:?}")
                });
                Said::Yes
            }
            Err(error) => Said::Status(error.status()),
        }
    }

    pub(super) fn free_object(&self, passive: &mut Passive, action: IoAllocationAction) -> Said {
        said(self.machine.raise(passive, |dispatch| {
            self.adapter.free_object(dispatch, &self.context, action)
        }))
    }

    pub(super) fn free_channel(&self, passive: &mut Passive) -> Said {
        said(self.machine.raise(passive, |dispatch| {
            self.adapter.free_channel(dispatch, &self.context)
        }))
    }

    /// Frees the map register that was kept. Who was granted none has none to name.
    pub(super) fn free_registers(&self, passive: &mut Passive) -> Said {
        let base = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(base) = base else { return Said::No };
        said(self.machine.raise(passive, |dispatch| {
            self.adapter.free_map_registers(dispatch, base, self.count())
        }))
    }

    /// Gives back whatever the context holds.
    pub(super) fn release(&self, passive: &mut Passive) {
        for _ in 0..4 {
            let state = self.state(passive);
            let answer = match state {
                State::Wait => self.cancel(passive),
                State::Done | State::KeptDone | State::LooseDone => self.flush(passive),
                State::Own => self.free_channel(passive),
                State::Kept => self.free_registers(passive),
                _ => return,
            };
            self.require(answer == Said::Yes, "PAIN-18", || {
                format!("what is held in {state:?} was not taken back: {answer:?}")
            });
        }
    }
}

fn said(answer: Result<(), Refusal>) -> Said {
    match answer {
        Ok(()) => Said::Yes,
        Err(refusal) => Said::Status(refusal.status()),
    }
}
