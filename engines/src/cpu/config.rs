//! How a CPU engine is set up.

use longshore_core::machine::Cpu;
use longshore_netdma::Version;

/// The most bytes one descriptor may move on a CPU engine.
pub const MAXIMUM_TRANSFER_SIZE: u32 = 1 << 20;

/// The most urgent priority of a channel; a greater one is taken for this. Channels whose workers share a CPU take turns,
/// and with each step of priority a turn is twice as long. So the more urgent one goes ahead and nobody starves.
pub const MAXIMUM_PRIORITY: u32 = 3;

/// How a CPU engine is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many channels.
    pub channels: u32,
    /// The version of the contract it speaks.
    pub version: Version,
    /// Where its first channel's worker runs and its interrupts arrive.
    pub cpu: Cpu,
    /// How many CPUs, from `cpu` on, its channels are spread over.
    pub spread: u32,
    /// How many bytes it copies between two looks at the channel's command word. This is as long as an abort waits
    /// for a copy that is under way, so it must be well below the maximum transfer size: by default it is 16 KiB,
    /// a few microseconds of copying, beside which a look costs nothing.
    pub piece: u64,
    /// How many descriptors it does in one deferred call before it lets others go first. A channel of a higher priority
    /// does more, see [`MAXIMUM_PRIORITY`].
    pub budget: u32,
    /// How often a caller looks for an answer of the worker before it gives up, with one `relax` between two looks.
    /// Handlers run at DISPATCH too, so they may not wait for longer than some bound.
    pub patience: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            channels: 1,
            version: Version::V1_1,
            cpu: Cpu(0),
            spread: 1,
            piece: 16 << 10,
            budget: 64,
            patience: 100_000,
        }
    }
}

impl Config {
    /// How many descriptors a channel of this priority does in one turn.
    pub(super) fn share(&self, priority: u32) -> u32 {
        self.budget
            .max(1)
            .saturating_mul(1 << priority.min(MAXIMUM_PRIORITY))
    }
}
