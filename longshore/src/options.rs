//! How a channel is opened.

use crate::channel::DmaChannel;
use crate::engine::Engine;
use crate::host::{Config, Host};
use crate::netdma;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How a channel is opened.
///
/// ```
/// use longshore::{Options, WorkerCpu};
///
/// let one = Options::new().entries(1024).memory(64 << 20).open(WorkerCpu)?;
/// let other = Options::new().host(one.host().clone()).open(WorkerCpu)?; // buffers of the one serve the other
/// # Ok::<(), longshore::OpenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) entries: u32,
    pub(crate) memory: u64,
    pub(crate) host: Option<Arc<Host>>,
    pub(crate) looks: u32,
    pub(crate) patience: Duration,
}

impl Options {
    /// A ring of 256 entries and a host of its own with 64 MiB of memory.
    pub fn new() -> Self {
        Self {
            entries: 256,
            memory: 64 << 20,
            host: None,
            looks: 1_000,
            patience: Duration::from_secs(10),
        }
    }

    /// How many descriptors the ring has, two at least. One is kept back, and a copy takes one for each MiB; so with one
    /// more than a thousand, a thousand small copies can be in flight.
    #[must_use]
    pub fn entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// How many bytes of memory its own host has, for buffers and the ring. Memory that is not used costs nothing.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Shares this host instead of making one: then buffers can go from one channel to another.
    #[must_use]
    pub fn host(mut self, host: Arc<Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// How often a waiting thread looks before it sleeps. More costs CPU time and answers sooner. Nothing to an engine
    /// that works only when its user waits.
    #[must_use]
    pub fn looks(mut self, looks: u32) -> Self {
        self.looks = looks;
        self
    }

    /// How long the end of a [scope](DmaChannel::scope) waits for all that it began before it cancels the rest, and then
    /// again before it gives that up: ten seconds if not told otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Opens a channel on an engine. Needs an ordinary thread.
    pub fn open<E: Engine>(self, engine: E) -> Result<DmaChannel<E>, OpenError> {
        DmaChannel::open_with(engine, self)
    }

    pub(crate) fn find_host(&self) -> Result<Arc<Host>, OpenError> {
        if let Some(host) = &self.host {
            return Ok(host.clone());
        }
        let config = Config {
            cpus: 1,
            memory: self.memory,
            ..Config::default()
        };
        Host::new(config).map(Arc::new).map_err(OpenError::Host)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a channel was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// The machine could not be switched on.
    Host(io::Error),
    /// The caller is no ordinary thread, but a callback of the machine.
    NotPassive,
    /// The ring or its channel could not be had.
    Ring(netdma::OpenError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => write!(f, "the machine cannot be switched on: {error}"),
            Self::NotPassive => f.write_str("a channel is opened on an ordinary thread, not in a callback"),
            Self::Ring(error) => write!(f, "the channel cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host(error) => Some(error),
            Self::NotPassive => None,
            Self::Ring(error) => Some(error),
        }
    }
}
