//! Models of devices, plugged into the machine.

use crate::line::Line;
use crate::lock::hold;
use crate::machine::Machine;
use longshore_hardware::{AccessError, DmaMemory, Interrupt, Registers, Width};
use longshore_models::{Model, Step};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A device that is plugged into the machine: a model, and a thread that gives it time. Clones are the same device.
///
/// The thread steps the model while it works and sleeps while it is idle; writing a register wakes it. The levels of
/// the model's outputs are carried to the interrupt lines after each step and each access, before the access returns.
///
/// The device stays plugged in, also when all handles are dropped, until the machine is switched off or the model
/// panics. Then its lines are released and its registers answer [`AccessError::Gone`].
#[derive(Clone)]
pub struct Device {
    plug: Arc<Plug>,
}

impl Device {
    pub(crate) fn new(plug: Arc<Plug>) -> Self {
        Self { plug }
    }
}

impl Registers for Device {
    fn read(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.plug
            .access(false, |model| model.read(offset, width))
            .unwrap_or(Err(AccessError::Gone))
    }

    fn write(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let value = value & (u64::MAX >> (64 - 8 * width.bytes()));
        self.plug
            .access(true, |model| model.write(offset, width, value))
            .unwrap_or(Err(AccessError::Gone))
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({:?})", self.plug.lines)
    }
}

/// Where a model meets the machine.
pub(crate) struct Plug {
    machine: Machine,
    lines: Box<[Line]>,
    /// Whoever wants to reach a register waits here and so goes before the next step: a mutex alone would let the
    /// thread of a busy model take it again and again.
    turnstile: Mutex<()>,
    socket: Mutex<Socket>,
    changed: Condvar,
}

struct Socket {
    /// Gone once the device is unplugged.
    model: Option<Box<dyn Model>>,
    /// The levels that the lines were last told.
    asserted: u32,
    /// Whether the model may have work to do.
    awake: bool,
}

impl Plug {
    pub(crate) fn new(machine: Machine, model: Box<dyn Model>, lines: Box<[Line]>) -> Self {
        Self {
            machine,
            lines,
            turnstile: Mutex::new(()),
            socket: Mutex::new(Socket {
                model: Some(model),
                asserted: 0,
                awake: true,
            }),
            changed: Condvar::new(),
        }
    }

    /// The work of the device's thread, until it is unplugged.
    pub(crate) fn work(&self, memory: &dyn DmaMemory) {
        loop {
            drop(hold(&self.turnstile));
            let mut socket = hold(&self.socket);
            while socket.model.is_some() && !socket.awake {
                socket = self.changed.wait(socket).unwrap_or_else(PoisonError::into_inner);
            }
            match self.operate(&mut socket, |model| model.step(memory)) {
                Some(Step::Worked) => {}
                Some(Step::Idle) => socket.awake = false,
                None => return,
            }
        }
    }

    /// Takes the model away and releases its lines.
    pub(crate) fn unplug(&self) {
        let mut socket = hold(&self.socket);
        let model = socket.model.take();
        self.carry(&mut socket, 0);
        drop(socket);
        self.changed.notify_all();
        self.machine.panics_record().catch("model", || drop(model));
    }

    /// Software reaches a register.
    fn access<R>(&self, wakes: bool, access: impl FnOnce(&mut dyn Model) -> R) -> Option<R> {
        let turn = hold(&self.turnstile);
        let mut socket = hold(&self.socket);
        drop(turn);
        if wakes && !socket.awake {
            socket.awake = true;
            self.changed.notify_all();
        }
        self.operate(&mut socket, access)
    }

    /// Lets the model do something and carries its lines. Nothing if it is gone, or panics and is then gone.
    fn operate<R>(&self, socket: &mut Socket, section: impl FnOnce(&mut dyn Model) -> R) -> Option<R> {
        let model = socket.model.as_mut()?;
        let panics = self.machine.panics_record();
        let done = panics.catch("model", || (section(model.as_mut()), model.lines()));
        match done {
            Some((result, asserted)) => {
                self.carry(socket, asserted);
                Some(result)
            }
            None => {
                let broken = socket.model.take();
                self.carry(socket, 0);
                panics.catch("model", || drop(broken));
                None
            }
        }
    }

    fn carry(&self, socket: &mut Socket, asserted: u32) {
        let changed = asserted ^ socket.asserted;
        socket.asserted = asserted;
        for (output, line) in self.lines.iter().enumerate().take(u32::BITS as usize) {
            if changed >> output & 1 == 0 {
                continue;
            }
            if asserted >> output & 1 == 1 {
                line.raise();
            } else {
                line.lower();
            }
        }
    }
}
