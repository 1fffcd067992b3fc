//! The calls to the provider, one at a time.

use crate::interface::Interface;
use crate::layout::Layout;
use crate::operation::{Completion, OperationHandle, Refused};
use crate::provider::{ProviderChannel, Unsuccessful};
use crate::ring::{Request, Settled};
use alloc::sync::Arc;
use longshore_core::machine::Signal;
use longshore_core::{AtMostDispatch, Event, Machine, NtStatus};
use longshore_hardware::netdma::{ControlFlags, Descriptor};
use longshore_hardware::{BusAddress, DmaMemory};

/// Whoever has this may call the provider. It stands behind the submission lock.
pub(crate) struct Submission<M: Machine> {
    interface: Arc<Interface<M>>,
    channel: Arc<dyn ProviderChannel>,
    layout: Layout,
    counted: bool,
    /// Why nothing is accepted, if so.
    refusal: Option<Refused>,
}

impl<M: Machine> Submission<M> {
    pub(crate) fn new(
        interface: Arc<Interface<M>>,
        channel: Arc<dyn ProviderChannel>,
        layout: Layout,
        counted: bool,
    ) -> Self {
        Self {
            interface,
            channel,
            layout,
            counted,
            refusal: None,
        }
    }

    /// From here on nothing is accepted. False if the channel was closed before, which stays so.
    pub(crate) fn refuse(&mut self, refusal: Refused) -> bool {
        let open = !self.closed();
        if open {
            self.refusal = Some(refusal);
        }
        open
    }

    fn closed(&self) -> bool {
        self.refusal == Some(Refused::Closed)
    }

    /// An error once the channel is closed.
    pub(crate) fn still_open(&self) -> Result<(), Unsuccessful> {
        if self.closed() { Err(Unsuccessful) } else { Ok(()) }
    }

    /// Work is accepted again. False if the channel was closed.
    pub(crate) fn accept_again(&mut self) -> bool {
        let open = !self.closed();
        if open {
            self.refusal = None;
        }
        open
    }

    /// The provider's channel.
    pub(crate) fn channel(&self) -> Arc<dyn ProviderChannel> {
        self.channel.clone()
    }

    /// Writes a descriptor and gives it to the provider.
    pub(crate) fn copy(
        &mut self,
        level: AtMostDispatch<'_>,
        request: Request,
        completion: Completion,
    ) -> Result<OperationHandle, Refused> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let (place, running) = self.interface.ring(|ring| ring.reserve())?;
        let descriptor = self.descriptor(place, &request, completion).emit();
        let first = self.layout.descriptor(place).start();
        self.interface
            .memory
            .write(first, &descriptor)
            .map_err(Refused::Memory)?;
        if let Some(signal) = self.interface.signal(self.layout.entry(place) as u32) {
            signal.clear();
        }
        self.interface.ring(|ring| {
            ring.begin_call();
            ring.give(place, &request);
        });
        let answer = if running {
            self.go_on(level, place, first)
        } else {
            self.start(level, first)
        };
        match answer {
            Ok(()) => self.interface.ring(|ring| ring.accept(request, completion)),
            Err(refused) => {
                self.interface.ring(|ring| ring.take_back(place, &request));
                Err(refused)
            }
        }
    }

    fn descriptor(&self, place: u64, request: &Request, completion: Completion) -> Descriptor {
        let (to, from) = (request.destination.start(), request.source.start());
        // No longer than the provider's maximum, which is 32 bits wide.
        let mut descriptor = Descriptor::copy(to, from, request.destination.len() as u32);
        if request.destination.is_empty() {
            descriptor.control |= ControlFlags::NULL_TRANSFER;
        }
        if completion.contains(Completion::INTERRUPT) {
            descriptor.control |= ControlFlags::INTERRUPT_ON_COMPLETION;
        }
        if !completion.is_empty() {
            descriptor.control |= ControlFlags::STATUS_UPDATE_ON_COMPLETION;
        }
        if self.counted {
            // The last one says where the next chain will begin (NETDMA-072).
            descriptor.next = self.layout.descriptor(place + 1).start();
        }
        descriptor
    }

    /// First of all, and after every stop (NETDMA-076).
    fn start(&self, level: AtMostDispatch<'_>, first: BusAddress) -> Result<(), Refused> {
        // The engine is quiet. A word of the last run would look like one of this run.
        self.interface
            .memory
            .store_u64(self.interface.word, 0)
            .map_err(Refused::Memory)?;
        self.call("ProviderStartDma", |channel| {
            channel
                .start(level, first, 1)
                .map_err(|error| (error, error.status()))
        })
        .map_err(Refused::Start)
    }

    fn go_on(&self, level: AtMostDispatch<'_>, place: u64, first: BusAddress) -> Result<(), Refused> {
        if !self.counted {
            // The link first, then the call (NETDMA-075).
            let link = self.layout.link(place.wrapping_sub(1)).start();
            self.interface
                .memory
                .store_u64(link, first.raw())
                .map_err(Refused::Memory)?;
        }
        let appended = self.call("ProviderAppendDma", |channel| {
            channel
                .append(level, first, 1)
                .map_err(|error| (Unsuccessful, error.status()))
        });
        match appended {
            Ok(()) => Ok(()),
            Err(refused) => self.recover(level, first, refused),
        }
    }

    /// The engine did not take the chain's continuation.
    fn recover(
        &self,
        level: AtMostDispatch<'_>,
        first: BusAddress,
        refused: Unsuccessful,
    ) -> Result<(), Refused> {
        let settled = self.interface.ring(|ring| {
            ring.end_call();
            let settled = ring.drain(self.interface.load_word());
            ring.begin_call();
            (settled, ring.running())
        });
        self.interface.announce(settled.0);
        match (settled.1, self.counted) {
            // It had stopped with an error that is settled now. It is quiet, so the operation can begin a chain.
            (false, _) => self.start(level, first),
            // A link cannot be called back: the engine may be on its way there. The operation stands.
            (true, false) => Ok(()),
            (true, true) => Err(Refused::Append(refused)),
        }
    }

    /// Stops the engine, and settles by the word if it did.
    pub(crate) fn stop(
        &mut self,
        name: &'static str,
        stop: impl FnOnce(&dyn ProviderChannel) -> Result<(), Unsuccessful>,
    ) -> Result<Settled, Unsuccessful> {
        self.interface.ring(|ring| {
            ring.begin_call();
            ring.request_cancel();
        });
        let stopped = self.call(name, |channel| {
            stop(channel).map_err(|error| (error, error.status()))
        });
        self.interface.ring(|ring| match stopped {
            Ok(()) => Ok(ring.stopped(self.interface.load_word())),
            Err(error) => {
                ring.end_call();
                Err(error)
            }
        })
    }

    fn call<E>(
        &self,
        name: &'static str,
        call: impl FnOnce(&dyn ProviderChannel) -> Result<(), (E, NtStatus)>,
    ) -> Result<(), E> {
        let machine = &self.interface.machine;
        machine.emit(Event::Call(name));
        let result = call(&*self.channel);
        let status = match &result {
            Ok(()) => NtStatus::SUCCESS,
            Err((_, status)) => *status,
        };
        machine.emit(Event::Return(name, status));
        result.map_err(|(error, _)| error)
    }
}
