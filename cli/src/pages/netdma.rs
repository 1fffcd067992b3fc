//! NetDMA's side of one channel, as small as pages 003 and 004 need it: a chain of descriptors, a completion word,
//! data, and an interface that writes down what the provider tells.

use super::stage::{LONG, Stage, Trouble, until};
use super::timeline::Telling;
use longshore_core::event::Event;
use longshore_core::machine::{Cpu, Machine, Signal, Waited};
use longshore_core::{AtMostDispatch, Device, Dispatch, NtStatus, Owner, Passive, Rule};
use longshore_drydock::machine::{Step, View, What};
use longshore_engines::cpu::{Config, CpuChannel, CpuEngine};
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor, TransferStatus,
};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::state::State;
use longshore_netdma::{ChannelInterface, ChannelParameters, ProviderChannel};
use std::sync::{Arc, Mutex, PoisonError};

/// Whoever touches what the engine owns breaks this.
const OWNED: Rule = Rule("NETDMA-079");

/// How often a call looks for the engine's answer. On threads the engine may be kept from its CPU by whatever else the
/// machine does, and a page is not about that.
const PATIENCE: u32 = 20_000_000;

/// What a completion word that was never written holds. No descriptor has this address.
const UNTOUCHED: u64 = 0;

/// The sizes of a chain.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// How many descriptors there is room for.
    pub(super) descriptors: u32,
    /// How many bytes each of them moves.
    pub(super) bytes: u32,
    /// How many bytes the engine moves between two looks at its commands.
    pub(super) piece: u64,
    /// Whether all descriptors move the same bytes, so that a long chain needs little memory.
    pub(super) shared: bool,
}

/// Where things stand, for telling a trace.
#[derive(Clone, Copy)]
pub(super) struct Chart {
    ring: BusRange,
    word: BusAddress,
    destination: BusRange,
    bytes: u64,
}

impl Chart {
    /// The name of a descriptor by its address: D1, D2, ...
    pub(super) fn name(&self, at: BusAddress) -> String {
        if self.ring.contains(at) {
            format!("D{}", (at.raw() - self.ring.start().raw()) / DESCRIPTOR_SIZE + 1)
        } else if at.is_null() {
            "none".to_owned()
        } else {
            at.to_string()
        }
    }

    /// A completion word, such as `D2|Halted`.
    pub(super) fn word(&self, word: CompletionWord) -> String {
        format!("{}|{:?}", self.name(word.descriptor()), word.status())
    }

    /// A step in the names of the pages.
    pub(super) fn tell(&self, step: &Step) -> Telling {
        Telling::Words(match step.what {
            What::Stored(View::Device, at, value) if at == self.word => {
                let word = CompletionWord::from_raw(value);
                let (last, status) = (self.name(word.descriptor()), word.status());
                format!("{last}|NetDmaTransferStatus{status:?} is written to CompletionPhysicalAddress")
            }
            What::Wrote(View::Device, range) if self.destination.contains(range.start()) => {
                let index = (range.start().raw() - self.destination.start().raw()) / self.bytes + 1;
                return Telling::Bytes(format!("of D{index} are moved"), range.len());
            }
            What::Raised(_) => "the channel interrupts".to_owned(),
            What::Event(Event::Callback("NetDmaIsr", last)) => {
                format!(
                    "the provider's ISR calls NetDmaIsr({})",
                    self.name(BusAddress::new(last))
                )
            }
            What::Event(Event::Callback("NetDmaInterruptDpc", last)) => {
                format!(
                    "its DPC calls NetDmaInterruptDpc({})",
                    self.name(BusAddress::new(last))
                )
            }
            What::Event(Event::Call(name)) => format!("{name} is called"),
            What::Event(Event::Return(name, status)) => format!("{name} returns {status}"),
            _ => return Telling::Silent,
        })
    }
}

/// NetDMA's side of the channel: what the provider's interrupt routines told.
pub(super) struct Told<M: Machine> {
    signal: M::Signal,
    isr: Mutex<Vec<BusAddress>>,
    dpc: Mutex<Vec<BusAddress>>,
}

impl<M: Machine> ChannelInterface for Told<M> {
    fn isr(&self, _: &Device, last: BusAddress) -> Cpu {
        self.isr.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        Cpu(0)
    }

    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.dpc.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        self.signal.set();
    }
}

/// A channel of a CPU engine, with its chain.
pub(super) struct Bench<M: Machine> {
    machine: M,
    memory: M::Memory,
    channel: Arc<CpuChannel<M>>,
    told: Arc<Told<M>>,
    shape: Shape,
    ring: Lease<M::Memory>,
    word: Lease<M::Memory>,
    source: Lease<M::Memory>,
    destination: Lease<M::Memory>,
    /// Lives as long as its channel.
    _engine: CpuEngine<M>,
}

impl<M: Machine> Bench<M> {
    /// Opens an engine and a channel of it.
    pub(super) fn open<S>(stage: &S, passive: &Passive, shape: Shape) -> Result<Arc<Self>, Trouble>
    where
        S: Stage<Machine = M>,
    {
        let machine = stage.machine();
        let memory = machine.memory();
        let lease = |len: u64| {
            Lease::new(machine.memory(), len, DESCRIPTOR_ALIGNMENT)
                .map_err(|error| format!("no memory for the page: {error}"))
        };
        let data = u64::from(shape.bytes)
            * if shape.shared {
                1
            } else {
                u64::from(shape.descriptors)
            };
        let word = lease(DESCRIPTOR_ALIGNMENT)?;
        memory
            .store_u64(word.address(), UNTOUCHED)
            .map_err(|error| error.to_string())?;
        machine.emit(Event::Handover(word.range(), Owner::Both, OWNED));
        let told = Arc::new(Told {
            signal: machine.signal(passive, "NetDMA was told"),
            isr: Mutex::default(),
            dpc: Mutex::default(),
        });
        let config = Config {
            cpu: stage.engine_cpu(),
            piece: shape.piece,
            patience: PATIENCE,
            ..Config::default()
        };
        let engine = CpuEngine::open(passive, machine, config);
        let parameters = ChannelParameters::new(word.address(), 1);
        let (channel, _) = engine
            .allocate(passive.into(), parameters, told.clone())
            .map_err(|error| format!("ProviderAllocateDmaChannel returned {error}"))?;
        let bench = Self {
            machine: machine.clone(),
            memory,
            channel,
            told,
            shape,
            ring: lease(u64::from(shape.descriptors) * DESCRIPTOR_SIZE)?,
            word,
            source: lease(data)?,
            destination: lease(data)?,
            _engine: engine,
        };
        bench.fill()?;
        Ok(Arc::new(bench))
    }

    /// Sources hold a pattern without a zero, destinations hold zeros: so it is seen how far a copy came.
    fn fill(&self) -> Result<(), Trouble> {
        let pattern: Vec<u8> = (0..self.source.len()).map(|at| (at % 251) as u8 + 1).collect();
        self.memory
            .write(self.source.address(), &pattern)
            .and_then(|()| {
                self.memory
                    .write(self.destination.address(), &vec![0; pattern.len()])
            })
            .map_err(|error| error.to_string())
    }

    /// The machine.
    pub(super) fn machine(&self) -> &M {
        &self.machine
    }

    /// Where everything stands.
    pub(super) fn chart(&self) -> Chart {
        Chart {
            ring: self.ring.range(),
            word: self.word.address(),
            destination: self.destination.range(),
            bytes: u64::from(self.shape.bytes),
        }
    }

    /// The address of a descriptor, counted from 1 as in its name.
    fn descriptor(&self, number: u32) -> BusAddress {
        part(&self.ring, number, DESCRIPTOR_SIZE).start()
    }

    fn data(&self, lease: &Lease<M::Memory>, number: u32) -> BusRange {
        let number = if self.shape.shared { 1 } else { number };
        part(lease, number, u64::from(self.shape.bytes))
    }

    /// Writes the descriptors of a chain that ends with the last of `numbers`, and gives them to the engine.
    pub(super) fn write_chain(
        &self,
        numbers: std::ops::RangeInclusive<u32>,
        control: impl Fn(u32) -> ControlFlags,
    ) -> Result<(), Trouble> {
        let last = *numbers.end();
        for number in numbers {
            let (to, from) = (
                self.data(&self.destination, number),
                self.data(&self.source, number),
            );
            let mut descriptor = Descriptor::copy(to.start(), from.start(), self.shape.bytes);
            descriptor.control = control(number);
            if number < last {
                descriptor.next = self.descriptor(number + 1);
            }
            self.memory
                .write(self.descriptor(number), &descriptor.emit())
                .map_err(|error| error.to_string())?;
        }
        for lease in [&self.ring, &self.source, &self.destination] {
            self.machine
                .emit(Event::Handover(lease.range(), Owner::Device, OWNED));
        }
        Ok(())
    }

    /// Calls a handler of the provider, so that the timeline shows the call and what it returned.
    fn call<E: Copy>(
        &self,
        name: &'static str,
        status: fn(E) -> NtStatus,
        handler: impl FnOnce() -> Result<(), E>,
    ) -> NtStatus {
        self.machine.emit(Event::Call(name));
        let status = handler().map_or_else(status, |()| NtStatus::SUCCESS);
        self.machine.emit(Event::Return(name, status));
        status
    }

    /// ProviderStartDma.
    pub(super) fn start(&self, level: AtMostDispatch<'_>, number: u32) -> NtStatus {
        let first = self.descriptor(number);
        self.call("ProviderStartDma", StartError::status, || {
            self.channel.start(level, first, 0)
        })
    }

    /// ProviderAppendDma.
    pub(super) fn append(&self, level: AtMostDispatch<'_>, number: u32) -> NtStatus {
        let first = self.descriptor(number);
        self.call("ProviderAppendDma", AppendError::status, || {
            self.channel.append(level, first, 0)
        })
    }

    /// ProviderAbortDma.
    pub(super) fn abort(&self, level: AtMostDispatch<'_>) -> NtStatus {
        self.call("ProviderAbortDma", Unsuccessful::status, || {
            self.channel.abort(level)
        })
    }

    /// The completion word as it stands.
    pub(super) fn word(&self) -> CompletionWord {
        let raw = self.memory.load_u64(self.word.address());
        CompletionWord::from_raw(raw.unwrap_or(UNTOUCHED))
    }

    /// Whether the word names this descriptor with this status.
    pub(super) fn word_is(&self, number: u32, status: TransferStatus) -> bool {
        self.word() == CompletionWord::new(self.descriptor(number), status)
    }

    /// Whether the engine has come to the end of its chain.
    pub(super) fn is_idle(&self) -> bool {
        self.channel.state() == State::Idle
    }

    /// Waits until the engine has come to the end of its chain.
    pub(super) fn wait_until_idle(&self) -> Result<(), Trouble> {
        until(&self.machine, || self.is_idle())
            .then_some(())
            .ok_or_else(|| "the engine did not come to the end of its chain".to_owned())
    }

    /// Waits until the provider's deferred call has told of an interrupt.
    pub(super) fn wait_for_interrupt(&self, passive: &Passive) -> Result<(), Trouble> {
        match self.told.signal.wait_for(passive, LONG) {
            Waited::Signalled => Ok(()),
            _ => Err("the interrupt that was asked for did not come".to_owned()),
        }
    }

    /// Takes data and descriptors back from an engine that is quiet.
    pub(super) fn take_back(&self) {
        for lease in [&self.ring, &self.source, &self.destination] {
            self.machine
                .emit(Event::Handover(lease.range(), Owner::Cpu, OWNED));
        }
    }

    /// How many bytes of a descriptor's destination are there, or nothing if they are not the source's first ones.
    pub(super) fn moved(&self, number: u32) -> Option<u32> {
        let read = |lease| {
            let mut bytes = vec![0; self.shape.bytes as usize];
            self.memory
                .read(self.data(lease, number).start(), &mut bytes)
                .ok()?;
            Some(bytes)
        };
        let (to, from) = (read(&self.destination)?, read(&self.source)?);
        let count = to.iter().take_while(|byte| **byte != 0).count();
        let truthful = to[..count] == from[..count] && to[count..].iter().all(|byte| *byte == 0);
        truthful.then_some(count as u32)
    }

    /// Gives the channel back: after this the provider tells nothing any more. Returns what NetDmaIsr and
    /// NetDmaInterruptDpc were told.
    pub(super) fn close(&self, level: AtMostDispatch<'_>) -> (Vec<BusAddress>, Vec<BusAddress>) {
        self.channel.free(level);
        self.take_back();
        self.machine
            .emit(Event::Handover(self.word.range(), Owner::Cpu, OWNED));
        let taken = |told: &Mutex<Vec<BusAddress>>| {
            std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner))
        };
        (taken(&self.told.isr), taken(&self.told.dpc))
    }
}

/// The nth of the equal parts of a lease, counted from 1.
fn part<M: DmaMemory>(lease: &Lease<M>, number: u32, len: u64) -> BusRange {
    let skipped = u64::from(number - 1) * len;
    lease.range().slice(skipped, len).unwrap_or(BusRange::EMPTY)
}
