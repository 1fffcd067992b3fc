//! A NetDMA provider that can be told to be wrong.
//!
//! Without a flaw it keeps the contract (a test says so), so what the suite catches is the flaw and not the sketch.
//! It is as simple as a provider can be, and shares no code with the engines that are checked.
//!
//! * `cursor`: what the channel knows of itself;
//! * `channel`: the calls of NetDMA;
//! * `engine`: what moves the data;
//! * `reports`: the interrupts.

mod channel;
mod cursor;
mod engine;
mod reports;

use crate::suites::Bay;
use channel::Channel;
use longshore_core::AtMostDispatch;
use longshore_core::machine::Cpu;
use longshore_hardware::BusAddress;
use longshore_netdma::provider::AllocateError;
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderChannel, ProviderFlags, Version,
};
use std::sync::Arc;

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The completion word is written before the data.
    WordBeforeData,
    /// The interrupt is raised before the completion word is written.
    InterruptBeforeWord,
    /// Append jumps to the address it is given, although the engine may have gone there by itself.
    AppendJumps,
    /// Append is accepted, but an engine that is at the end of its chain does not hear of it.
    AppendIsLost,
    /// Append reads the descriptor before it looks whether it may.
    AppendLooksFirst,
    /// Append is accepted after an abort.
    AppendAfterAbort,
    /// Abort waits until the current descriptor is finished.
    AbortFinishes,
    /// Abort does not write Halted.
    NoHaltedWord,
    /// Abort returns while the engine still runs.
    AbortDoesNotWait,
    /// Abort raises an interrupt.
    AbortInterrupts,
    /// Each copy is a piece too long.
    WritesPastTheEnd,
    /// The part before a page break is a byte too long.
    WritesPastThePage,
    /// After an error the completion word names the descriptor that failed.
    HaltedNamesTheBad,
    /// Suspend cuts the current descriptor.
    SuspendCuts,
    /// Resume goes on with the descriptor that was fetched before the suspend.
    ResumeKeepsWhatItRead,
    /// Start does not forget the last descriptor of the old chain.
    StartKeepsTheLast,
    /// NULL transfers are not reported.
    NullIsSilent,
    /// Bit 0 of a context change is taken for the interrupt flag.
    ContextInterrupts,
    /// The completion word is written in two halves.
    WordInHalves,
    /// Start writes Armed to memory.
    StartSaysArmed,
    /// The completion word is written when the channel is allocated.
    AllocateWrites,
    /// The count is obeyed although the chain is linked.
    CountsLinks,
    /// Suspend writes no word.
    SuspendIsSilent,
    /// Abort writes Halted only if a descriptor had asked for the word.
    HaltedNeedsTheFlag,
    /// The last descriptor of a chain that was replaced is said to be Idle.
    OldChainIsIdle,
    /// A source that need not be snooped is not copied.
    HintsAreObeyed,
    /// Append reads the tail again although the chain is counted.
    AppendReadsTheTail,
    /// The interrupt handler reads the descriptor that is done.
    HandlerLooksAround,
    /// NetDMA is never told of an interrupt.
    TellsNobody,
    /// The deferred call always names the first descriptor.
    NamesTheFirst,
    /// The deferred call runs where the interrupt came, not where NetDmaIsr said.
    ReportsOnItsOwnCpu,
}

/// The most bytes that a descriptor may move.
const MAXIMUM_TRANSFER_SIZE: u32 = 4096;

/// The provider: one channel.
pub struct Sketch {
    channel: Arc<Channel>,
    version: Version,
}

impl Sketch {
    /// Builds the provider with this flaw.
    pub fn build(bay: &Bay<'_>, version: Version, flaw: Flaw) -> Arc<Self> {
        let channel = Channel::build(bay.machine(), bay.passive(), version.counted(), flaw);
        Arc::new(Self { channel, version })
    }
}

impl Provider for Sketch {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: self.version,
            flags: if self.version.counted() {
                ProviderFlags::DCA
            } else {
                ProviderFlags::empty()
            },
            handlers: Handlers::all() - Handlers::AFFINITY,
            max_channels: 1,
            friendly_name: Some("sketch".into()),
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            hardware: Version::new(1, 0),
            vendor: 0,
            channels: 1,
            maximum_transfer_size: MAXIMUM_TRANSFER_SIZE,
            maximum_address: BusAddress::new(u64::MAX),
        }
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        if !self.channel.open(interface, parameters.completion) {
            return Err(AllocateError::Resources);
        }
        let channel: Arc<dyn ProviderChannel> = self.channel.clone();
        let cpu = Cpu(parameters.cpus.trailing_zeros() % u32::BITS);
        Ok(Allocated { channel, cpu })
    }
}
