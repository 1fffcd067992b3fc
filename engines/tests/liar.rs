//! NetDMA's client side on a provider that lies and does not answer.

mod support;

use longshore_core::AtMostDispatch;
use longshore_core::completion::Outcome;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_host::Machine;
use longshore_netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Channel, ChannelInterface, ChannelParameters, Characteristics, Completion, Handlers, Provider,
    ProviderChannel, Version,
};
use std::sync::{Arc, Mutex};
use support::*;

/// Does nothing but remember what it was given.
#[derive(Clone, Default)]
struct Liar {
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

impl Provider for Liar {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: Version::V1_0,
            handlers: Handlers::ABORT,
            max_channels: 1,
            maximum_transfer_size: 4096,
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
        Err(AppendError::Unsuccessful)
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
