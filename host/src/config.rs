//! What a machine is made of.

use longshore_core::Event;
use std::fmt;
use std::sync::Arc;

/// Hears every event, on the thread that emits it and at that thread's level. The thread may hold locks of what it calls:
/// an observer takes note, and makes no call of its own.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What a machine is made of.
#[derive(Clone)]
pub struct Config {
    /// How many CPUs, at most [`Config::MOST_CPUS`]. None counts as one.
    pub cpus: u32,
    /// How many bytes of memory, rounded up to whole pages of 4 KiB. The first page is never handed out.
    pub memory: u64,
    /// Who hears events. Without an observer they cost next to nothing.
    pub observer: Option<Observer>,
}

impl Config {
    /// Each CPU costs two threads, so more than this is taken for a mistake.
    pub const MOST_CPUS: u32 = 1024;
}

/// Two CPUs, 16 MiB (so that a device with 24 address bits reaches all of it), and no observer.
impl Default for Config {
    fn default() -> Self {
        Self {
            cpus: 2,
            memory: 16 << 20,
            observer: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("cpus", &self.cpus)
            .field("memory", &self.memory)
            .field("observed", &self.observer.is_some())
            .finish()
    }
}
