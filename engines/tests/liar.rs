//! NetDMA's client side on a provider that lies and does not answer.

#![allow(clippy::unwrap_used)] // the helpers of a test may panic as the test itself

mod support;

use longshore_core::completion::Outcome;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{AtMostDispatch, Passive};
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_host::Machine;
use longshore_netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, Channel, ChannelInterface, ChannelParameters, Characteristics, Completion,
    Handlers, NoOutcome, OperationHandle, Provider, ProviderChannel, ProviderFlags, Refused, Version,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use support::hooked::{Hooked, Place};
use support::*;

/// Does nothing but remember what it was given.
#[derive(Clone, Default)]
struct Liar {
    /// Whether it says that it appends.
    appends: bool,
    first: Arc<Mutex<Option<BusAddress>>>,
    completion: Arc<Mutex<Option<BusAddress>>>,
    freed: Arc<Mutex<bool>>,
}

impl Liar {
    fn write_word(&self, machine: &Machine, word: u64) {
        let at = self
            .completion
            .lock()
            .expect("nobody panicked")
            .expect("it was allocated");
        machine.memory().store_u64(at, word).expect("it is there");
    }
}

impl Liar {
    /// One that takes everything, so that the test is its engine.
    fn obedient() -> Self {
        Self {
            appends: true,
            ..Self::default()
        }
    }

    /// Says that the descriptor of this entry is done.
    fn finish(&self, machine: &Machine, entry: u64) {
        let ring = self
            .first
            .lock()
            .expect("nobody panicked")
            .expect("it was started");
        self.write_word(machine, ring.raw() + entry * 64);
    }
}

impl Provider for Liar {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: Version::V1_0,
            flags: ProviderFlags::empty(),
            handlers: Handlers::MANDATORY | Handlers::ABORT,
            max_channels: 1,
            friendly_name: None,
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            hardware: Version::new(1, 0),
            vendor: 0,
            channels: 1,
            maximum_transfer_size: Attributes::LEAST_TRANSFER,
            maximum_address: BusAddress::new(u64::MAX),
        }
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        _: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        *self.completion.lock().expect("nobody panicked") = Some(parameters.completion);
        Ok(Allocated {
            channel: Arc::new(self.clone()),
            cpu: Cpu(7),
        })
    }
}

impl ProviderChannel for Liar {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, _: u32) -> Result<(), StartError> {
        *self.first.lock().expect("nobody panicked") = Some(first);
        Ok(())
    }
    fn append(&self, _: AtMostDispatch<'_>, _: BusAddress, _: u32) -> Result<(), AppendError> {
        if self.appends {
            Ok(())
        } else {
            Err(AppendError::Unsuccessful)
        }
    }
    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        Err(Unsuccessful)
    }
    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }
    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }
    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }
    fn free(&self, _: AtMostDispatch<'_>) {
        *self.freed.lock().expect("nobody panicked") = true;
    }
}

/// Proves: NETDMA-081, NETDMA-092.
#[test]
fn a_lying_word_ends_nothing_and_a_silent_engine_keeps_its_memory() {
    let host = host();
    let machine = host.machine();
    let liar = Liar::default();
    let passive = passive(machine);
    let channel = Channel::open(&passive, machine, &liar, 4).unwrap();
    let buffer = zeros(machine, 64);
    let copy = || {
        channel
            .copy(
                (&passive).into(),
                buffer.address(),
                buffer.address(),
                64,
                Completion::STATUS,
            )
            .unwrap()
    };
    let first = copy();
    // Linked, so the engine may be on its way there although it refused: it stands.
    let second = copy();
    let ring = liar.first.lock().unwrap().unwrap().raw();
    for lie in [
        u64::MAX,
        0xdead_bee0,
        ring - 64,
        ring + 4 * 64,
        ring + 2 * 64,
        ring + 3 * 64,
    ] {
        liar.write_word(machine, lie & !3);
        assert_eq!(channel.poll((&passive).into()), 0, "{lie:#x}");
    }
    liar.write_word(machine, ring);
    assert_eq!(channel.poll((&passive).into()), 1);
    assert_eq!(channel.take(first), Some(Outcome::COMPLETED));
    assert_eq!(channel.abort((&passive).into()), Err(Unsuccessful));
    assert_eq!((channel.take(second), channel.pending()), (None, 1));
    drop(channel);
    assert!(!*liar.freed.lock().unwrap());
    // The ring is not given to anybody else.
    let others: Vec<_> = (0..200).map(|_| zeros(machine, 256)).collect();
    assert!(
        others
            .iter()
            .all(|lease| !lease.range().contains(BusAddress::new(ring)))
    );
}

/// An operation of a ring of two, on a buffer that does not matter.
fn copy<M: longshore_core::Machine>(
    channel: &Channel<M>,
    passive: &Passive,
    buffer: BusAddress,
) -> Result<OperationHandle, Refused> {
    channel.copy(passive.into(), buffer, buffer, 64, Completion::INTERRUPT)
}

/// A handle names one operation, not whatever came to its place in the ring.
#[test]
fn an_old_handle_does_not_name_a_later_operation() {
    let host = host();
    let machine = host.machine();
    let (liar, passive, buffer) = (Liar::obedient(), passive(machine), zeros(machine, 64));
    let channel = Channel::open(&passive, machine, &liar, 2).unwrap();
    let next = || copy(&channel, &passive, buffer.address()).unwrap();
    let ended = |handle, entry| {
        liar.finish(machine, entry);
        channel.poll((&passive).into());
        assert_eq!(channel.take(handle), Some(Outcome::COMPLETED));
    };
    let old = next();
    ended(old, 0);
    ended(next(), 1);
    let later = next();
    assert_eq!(
        channel.wait(&passive, old, Duration::ZERO),
        Err(NoOutcome::Unknown)
    );
    assert_eq!(
        channel.wait(&passive, later, Duration::ZERO),
        Err(NoOutcome::TimedOut)
    );
    liar.finish(machine, 0);
    channel.poll((&passive).into());
    assert_eq!(channel.take(old), None);
    assert_eq!(channel.take(later), Some(Outcome::COMPLETED));
}

/// Proves: NETDMA-079.
///
/// The engine may read the link of the last completed descriptor again, and the word goes on naming it.
#[test]
fn the_last_completed_descriptor_is_not_used_while_one_is_pending() {
    let host = host();
    let machine = host.machine();
    let (liar, passive, buffer) = (Liar::obedient(), passive(machine), zeros(machine, 64));
    let channel = Channel::open(&passive, machine, &liar, 2).unwrap();
    let first = copy(&channel, &passive, buffer.address()).unwrap();
    let before_any = copy(&channel, &passive, buffer.address());
    assert_eq!(before_any, Err(Refused::Full));
    liar.finish(machine, 0);
    channel.poll((&passive).into());
    assert_eq!(channel.take(first), Some(Outcome::COMPLETED));
    let second = copy(&channel, &passive, buffer.address()).unwrap();
    assert_eq!(copy(&channel, &passive, buffer.address()), Err(Refused::Full));
    liar.finish(machine, 1);
    channel.poll((&passive).into());
    assert_eq!(channel.take(second), Some(Outcome::COMPLETED));
}

/// An operation ends just as its signal is being cleared. Were the look before that, the wait would sleep through.
#[test]
fn an_operation_that_ends_as_its_signal_is_cleared_is_not_slept_through() {
    let host = host();
    let machine = host.machine();
    let (liar, passive, buffer) = (Liar::obedient(), passive(machine), zeros(machine, 64));
    let waiting = Arc::new(Mutex::new(None::<Weak<Channel<Hooked>>>));
    let waits = Arc::new(AtomicU32::new(0));
    let hooked = {
        let (machine, liar) = (machine.clone(), liar.clone());
        let (waiting, waits) = (waiting.clone(), waits.clone());
        Hooked::new(&machine.clone(), move |place| match place {
            Place::Clear => {
                if let Some(channel) = waiting.lock().unwrap().take() {
                    liar.finish(&machine, 0);
                    let passive = support::passive(&machine);
                    channel.upgrade().unwrap().poll((&passive).into());
                }
            }
            Place::Wait => drop(waits.fetch_add(1, Ordering::SeqCst)),
            Place::Point => {}
        })
    };
    let channel = Arc::new(Channel::open(&passive, &hooked, &liar, 2).unwrap());
    let handle = copy(&channel, &passive, buffer.address()).unwrap();
    *waiting.lock().unwrap() = Some(Arc::downgrade(&channel));
    let outcome = channel.wait(&passive, handle, Duration::from_millis(100));
    assert_eq!(outcome, Ok(Outcome::COMPLETED));
    assert_eq!(waits.load(Ordering::SeqCst), 0);
}
