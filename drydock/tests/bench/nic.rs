//! A miniport with its NIC on a bench, and what a run says of it.

use super::Bench;
use super::narrow::Narrow;
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::{Machine, Step, What};
use longshore_drydock::reference::Port;
use longshore_hardware::BusRange;
use longshore_ndis::{
    Assigned, Attributes, Completed, Direction, DmaChannel, DmaDescription, Miniport, NdisStatus, Owned,
    RegisterError, Registration,
};
use longshore_wdm::{DeviceDescription, DmaWidth, Platform};

/// What a completion said.
pub(crate) fn said<B>(completed: Completed<B>) -> (NdisStatus, u32) {
    (completed.status, completed.residual)
}

pub(crate) const SUCCESS: (NdisStatus, u32) = (NdisStatus::SUCCESS, 0);

/// What the platform assigned to the NIC of a usual bench.
pub(crate) fn assigned() -> Assigned {
    assigned_of(Bench::description(false))
}

pub(crate) fn assigned_of(description: DeviceDescription) -> Assigned {
    Assigned {
        channel: description.channel,
        request_line: description.request_line,
        device_address: description.device_address,
    }
}

/// What the platform assigned to a NIC whose channel and request line have the same number.
pub(crate) fn on_channel(channel: u32) -> Assigned {
    assigned_of(DeviceDescription::system(channel, channel))
}

/// A miniport that runs, and its channel.
pub(crate) struct Nic {
    pub(crate) miniport: Miniport<Machine>,
    pub(crate) channel: DmaChannel<Machine>,
}

impl Nic {
    pub(crate) fn start(bench: &Bench, passive: &Passive) -> Self {
        Self::described(bench, passive, DmaDescription::default()).unwrap()
    }

    pub(crate) fn described(
        bench: &Bench,
        passive: &Passive,
        description: DmaDescription,
    ) -> Result<Self, RegisterError> {
        let registration = Registration {
            description,
            ..Registration::new(64)
        };
        Self::on(&bench.platform, passive, Some(assigned()), registration)
    }

    /// A NIC whose bytes the controller moves.
    pub(crate) fn on(
        platform: &Platform<Machine>,
        passive: &Passive,
        assigned: Option<Assigned>,
        registration: Registration,
    ) -> Result<Self, RegisterError> {
        Self::with(platform, passive, assigned, Attributes::SUBORDINATE, registration)
    }

    pub(crate) fn with(
        platform: &Platform<Machine>,
        passive: &Passive,
        assigned: Option<Assigned>,
        attributes: Attributes,
        registration: Registration,
    ) -> Result<Self, RegisterError> {
        let miniport = Miniport::new(platform, assigned);
        let channel = miniport.initialize(passive, || {
            assert!(miniport.set_attributes(passive, attributes));
            miniport.register_dma_channel(passive, registration)
        });
        let channel = channel.map_err(|failed| failed.why.unwrap())?;
        Ok(Self { miniport, channel })
    }

    pub(crate) fn halt(self, passive: &Passive) {
        let Self { miniport, channel } = self;
        miniport
            .halt(passive, || channel.deregister(passive).unwrap())
            .unwrap();
    }
}

/// Waits until so many bytes went through the NIC's port, which is when it would signal.
pub(crate) fn wait_for_port(machine: &Machine, port: &Port, bytes: u64) {
    while port.moved() < bytes && !machine.is_over() {
        machine.relax();
    }
}

pub(crate) fn wait_for_nic(bench: &Bench, bytes: u64) {
    wait_for_port(&bench.machine, &bench.port, bytes);
}

/// A NIC on a channel of the narrow bench, for transfers of up to two pages.
pub(crate) fn narrow_nic(bench: &Narrow, passive: &Passive, channel: u32) -> Nic {
    let registration = Registration {
        description: DmaDescription {
            width: DmaWidth::BITS_32,
            ..DmaDescription::default()
        },
        ..Registration::new(8192)
    };
    Nic::on(&bench.platform, passive, Some(on_channel(channel)), registration).unwrap()
}

/// A receive that goes through, of whatever is in the buffer's reach or not.
pub(crate) fn receive(bench: &Narrow, passive: &Passive, nic: &Nic, buffer: &[BusRange], length: u32) {
    let before = bench.port.moved();
    bench.port.supply(&vec![7; length as usize]);
    let set_up = nic
        .channel
        .set_up(passive, Loose::at(buffer), 0, length, Direction::ReadFromDevice);
    wait_for_port(&bench.machine, &bench.port, before + u64::from(length));
    assert_eq!(said(set_up.unwrap().complete(passive).unwrap()), SUCCESS);
    for range in buffer {
        assert!(bench.read(*range).iter().all(|byte| *byte == 7));
    }
}

/// Each misuse that was told: the call and the rule.
pub(crate) fn misuses(run: &Run) -> Vec<(&'static str, &'static str)> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(name, rule, _)) => Some((name, rule.0)),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}

/// The rules of those misuses.
pub(crate) fn broken(run: &Run) -> Vec<&'static str> {
    misuses(run).into_iter().map(|(_, rule)| rule).collect()
}

/// For each call of this name, the steps of its CPU from its beginning to its return.
pub(crate) fn inside<'r>(run: &'r Run, name: &str) -> Vec<Vec<&'r Step>> {
    let mut calls = Vec::new();
    for (at, call) in run.trace.iter().enumerate() {
        if !matches!(call.what, What::Event(Event::Call(called)) if called == name) {
            continue;
        }
        let mine = run.trace[at + 1..].iter().filter(|step| step.cpu == call.cpu);
        let before = mine.take_while(|step| !returns(step, name));
        calls.push(before.collect());
    }
    calls
}

fn returns(step: &Step, name: &str) -> bool {
    matches!(step.what, What::Event(Event::Return(returned, _)) if returned == name)
}

/// The calls among these steps.
pub(crate) fn calls(steps: &[&Step]) -> Vec<&'static str> {
    let called = |step: &&Step| match step.what {
        What::Event(Event::Call(name)) => Some(name),
        _ => None,
    };
    steps.iter().filter_map(called).collect()
}

/// Whether a register of a device was touched in these steps.
pub(crate) fn touches_hardware(steps: &[&Step]) -> bool {
    let touches = |step: &&Step| matches!(step.what, What::RegisterRead(..) | What::RegisterWritten(..));
    steps.iter().any(touches)
}

pub(crate) const SET_UP: &str = "NdisMSetupDmaTransfer";
pub(crate) const COMPLETE: &str = "NdisMCompleteDmaTransfer";
pub(crate) const READ: &str = "NdisMReadDmaCounter";
pub(crate) const REGISTER: &str = "NdisMRegisterDmaChannel";
pub(crate) const DEREGISTER: &str = "NdisMDeregisterDmaChannel";

/// Ranges of a buffer that somebody else keeps for as long as it is set up.
#[derive(Debug)]
pub(crate) struct Loose(Vec<BusRange>);

impl Loose {
    pub(crate) fn at(ranges: impl AsRef<[BusRange]>) -> Self {
        Self(ranges.as_ref().to_vec())
    }
}

impl AsRef<[BusRange]> for Loose {
    fn as_ref(&self) -> &[BusRange] {
        &self.0
    }
}

impl Owned for Loose {}
