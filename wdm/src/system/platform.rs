//! All controllers of a computer, and its map registers.

use crate::adapter::Adapter;
use crate::adapter::description::{AdapterError, DeviceDescription};
use crate::adapter::place::Share;
use crate::controller::{ControllerAttributes, RequestLines};
use crate::registers::MapRegisters;
use crate::system::{Policy, RegisterError, Setup, SystemDma};
use crate::transfer::mapping::called;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::machine::{Lock, Machine};
use longshore_core::{Irql, Passive};

struct Inner<M: Machine> {
    machine: M,
    registers: Option<MapRegisters<M>>,
    policy: Policy,
    controllers: M::Lock<Controllers<M>>,
}

struct Controllers<M: Machine> {
    /// The request lines of those that are registered, and of those that are about to be.
    lines: Vec<RequestLines>,
    /// In the order in which they were registered.
    systems: Vec<SystemDma<M>>,
}

/// What a device asks for its adapter: it knows every registered controller. Handles are interchangeable.
pub struct Platform<M: Machine>(Arc<Inner<M>>);

impl<M: Machine> Clone for Platform<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for Platform<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Platform({:?}, {:?})", self.0.registers, self.0.policy)
    }
}

impl<M: Machine> Platform<M> {
    /// A computer without controllers. Without map registers it moves only what is in reach.
    pub fn new(machine: &M, registers: Option<MapRegisters<M>>, policy: Policy) -> Self {
        let controllers = Controllers {
            lines: Vec::new(),
            systems: Vec::new(),
        };
        Self(Arc::new(Inner {
            machine: machine.clone(),
            registers,
            policy,
            controllers: machine.lock("platform", Irql::DISPATCH, controllers),
        }))
    }

    /// The machine it is.
    pub fn machine(&self) -> &M {
        &self.0.machine
    }

    /// Its map registers.
    pub fn registers(&self) -> Option<&MapRegisters<M>> {
        self.0.registers.as_ref()
    }

    /// Registers a controller. Its request lines must be nobody else's (WDM-305). The policy is the platform's, and so
    /// are the map registers unless the controller brings some of its own.
    #[doc(alias = "RegisterResourceDescriptor")]
    pub fn register(&self, passive: &Passive, setup: Setup<M>) -> Result<SystemDma<M>, RegisterError> {
        let lines = setup.controller.attributes().request_lines;
        self.reserve(lines)?;
        let setup = Setup {
            registers: setup.registers.or_else(|| self.0.registers.clone()),
            policy: self.0.policy,
            ..setup
        };
        // Outside of the lock, for the controller is initialised: nobody else can have its lines meanwhile.
        let system = SystemDma::register(passive, &self.0.machine, setup)
            .inspect_err(|_| self.with(|controllers| controllers.lines.retain(|taken| *taken != lines)))?;
        let kept = system.clone();
        self.with(|controllers| controllers.systems.push(kept));
        Ok(system)
    }

    /// An adapter for whatever serves the device: the controller of its request line, or, before version 3, the first
    /// one that has its channel; for a bus master nothing but itself.
    #[doc(alias = "IoGetDmaAdapter")]
    pub fn adapter(
        &self,
        passive: &Passive,
        description: DeviceDescription,
    ) -> Result<Adapter<M>, AdapterError> {
        called(&self.0.machine, "IoGetDmaAdapter", || {
            description.check(self.0.policy)?;
            if description.master {
                let Inner {
                    machine, registers, ..
                } = self.0.as_ref();
                return Adapter::of_master(passive, machine, registers.clone(), self.0.policy, description);
            }
            let system = if description.is_v3() {
                self.controller_of_line(description.request_line)
            } else {
                self.controller_with_channel(description.channel)
            };
            let system = system.ok_or(AdapterError::NoController)?;
            Adapter::of_system(&system, description, Share::Anybody, u64::BITS)
        })
    }

    /// The controller that serves a request line.
    pub fn controller_of_line(&self, request_line: u32) -> Option<SystemDma<M>> {
        self.find(|attributes| attributes.request_lines.contains(request_line))
    }

    /// The first controller that has so many channels that this is one of them: how a device is served that knows its
    /// channel and no request line.
    pub fn controller_with_channel(&self, channel: u32) -> Option<SystemDma<M>> {
        self.find(|attributes| channel < attributes.channels)
    }

    fn find(&self, serves: impl Fn(ControllerAttributes) -> bool) -> Option<SystemDma<M>> {
        let mut systems = self.systems().into_iter();
        systems.find(|system| serves(system.attributes()))
    }

    /// Takes request lines for a controller that is about to be registered, unless one of them is another's.
    fn reserve(&self, lines: RequestLines) -> Result<(), RegisterError> {
        self.with(|controllers| {
            if controllers.lines.iter().any(|taken| taken.overlap(lines)) {
                return Err(RegisterError::RequestLines);
            }
            controllers.lines.push(lines);
            Ok(())
        })
    }

    /// A copy, so that nothing is asked of a controller inside of the lock.
    fn systems(&self) -> Vec<SystemDma<M>> {
        self.with(|controllers| controllers.systems.clone())
    }

    fn with<R>(&self, section: impl FnOnce(&mut Controllers<M>) -> R) -> R {
        self.0.controllers.with(section)
    }
}
