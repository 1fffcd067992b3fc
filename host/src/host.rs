//! Who switches a machine on and off.

use crate::config::Config;
use crate::machine::Machine;
use std::io;

/// A machine that is switched on. Dropping it switches the machine off.
///
/// Switching off releases all who wait, forgets all that is queued or armed, unplugs every device, and returns when
/// every thread of the machine has ended; a callback that runs is waited for. A callback of the machine that switches
/// it off does not wait for itself.
#[derive(Debug)]
pub struct Host {
    machine: Machine,
}

impl Host {
    /// Switches a machine on. Fails if there is not enough memory, there are too many CPUs, or a thread cannot be started;
    /// then nothing is left behind.
    pub fn new(config: Config) -> io::Result<Self> {
        // Made before the threads are: if one cannot be started, dropping this ends the others.
        let host = Self {
            machine: Machine::new(config)?,
        };
        host.machine.switch_on()?;
        Ok(host)
    }

    /// The machine. Its handle can be cloned and outlives the host.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Switches the machine off. The same as dropping the host, where it should be seen.
    pub fn shutdown(self) {}
}

impl Drop for Host {
    fn drop(&mut self) {
        self.machine.switch_off();
    }
}
