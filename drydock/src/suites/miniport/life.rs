//! A miniport's life: who gets a channel, and each call in each phase.

use super::bench::Site;
use super::told::{ALIGNMENT, ATTRIBUTES, DEREGISTER, HALT, INITIALIZE, REGISTER};
use crate::machine::Machine;
use longshore_core::{Passive, Rule};
use longshore_ndis::life::Phase;
use longshore_ndis::{
    Attributes, DmaChannel, DmaDescription, Miniport, NdisStatus, RegisterError, Registration,
};
use longshore_wdm::InterfaceType;
use longshore_wdm::registers::PAGE_SIZE;

/// The channel is claimed by one miniport at a time, and who is refused has to fail (NDIS-016, NDIS-017).
pub(super) fn conflicts(site: &Site, passive: &mut Passive) {
    let (first, second) = (site.miniport(), site.miniport());
    site.misuses.expect(ALIGNMENT, &["NDIS-053"]);
    let early = first.dma_alignment(passive);
    let Some(channel) = site.start(passive, &first, site.registration()) else {
        return;
    };
    let alignment = first.dma_alignment(passive);
    site.require(early.is_none() && alignment.is_some(), "NDIS-053", || {
        format!("the alignment is {early:?} before a channel is registered, and then {alignment:?}")
    });
    let register = |registration| {
        second.initialize(passive, || {
            second.set_attributes(passive, Attributes::SUBORDINATE);
            second.register_dma_channel(passive, registration)
        })
    };
    let refused = register(site.registration())
        .map(drop)
        .map_err(|failed| failed.why);
    let conflict = refused == Err(Some(RegisterError::Conflict));
    site.require(conflict, "NDIS-016", || {
        format!("a channel that somebody has was registered again: {refused:?}")
    });
    site.require(second.phase() == Phase::Stopped, "NDIS-017", || {
        format!("a miniport that failed is {:?}", second.phase())
    });
    // One that goes on as if it had a channel is told of.
    site.misuses.expect(INITIALIZE, &["NDIS-017"]);
    let _ = second.initialize(passive, || -> Result<(), ()> {
        second.set_attributes(passive, Attributes::SUBORDINATE);
        let _ = second.register_dma_channel(passive, site.registration());
        Ok(())
    });
    second.halt(passive, || ());
    give_back(site, passive, &first, channel);
    // It is free again.
    if let Some(channel) = site.start(passive, &second, site.registration()) {
        give_back(site, passive, &second, channel);
    }
}

fn give_back(site: &Site, passive: &Passive, miniport: &Miniport<Machine>, channel: DmaChannel<Machine>) {
    let gone = miniport.halt(passive, || channel.deregister(passive));
    let gone = gone.map(|result| result.map_err(|refused| refused.rule));
    site.require(gone == Some(Ok(())), "NDIS-018", || {
        format!("an idle channel was not deregistered: {gone:?}")
    });
}

/// What cannot be registered, and the status it gets.
pub(super) fn refusals(site: &Site, passive: &mut Passive) {
    let right = site.registration();
    let described = |change: fn(&mut DmaDescription)| {
        let mut registration = site.registration();
        change(&mut registration.description);
        registration
    };
    let pages = u32::try_from(PAGE_SIZE).unwrap_or(u32::MAX) * site.registers.count();
    let long = Registration {
        maximum_length: pages,
        ..right
    };
    let isa = Attributes::SUBORDINATE;
    let nowhere = Attributes {
        bus: InterfaceType(19),
        ..isa
    };
    let master_on_pci = Attributes {
        bus: InterfaceType::PCI,
        ..Attributes::ISA_BUS_MASTER
    };
    let failure = NdisStatus::FAILURE;
    let cases = [
        (isa, long, NdisStatus::RESOURCES, None),
        (nowhere, right, failure, None),
        (master_on_pci, right, failure, None),
        (isa, described(|it| it.port = 1), failure, Some("NDIS-020")),
        (isa, described(|it| it.channel = Some(77)), failure, None),
    ];
    for (attributes, registration, status, rule) in cases {
        let miniport = site.miniport();
        if let Some(rule) = rule {
            site.misuses.expect(REGISTER, one(rule));
        }
        let refused = miniport.initialize(passive, || {
            miniport.set_attributes(passive, attributes);
            miniport.register_dma_channel(passive, registration)
        });
        let why = refused.map(drop).err().and_then(|failed| failed.why);
        let said = why.map(RegisterError::status);
        site.require(said == Some(status), "NDIS-016", || {
            format!("{registration:?} of a NIC with {attributes:?} gave {why:?}, which should be {status:?}")
        });
    }
    unnamed(site, passive);
}

/// The channel of a description that names none is the platform's; and where that names none, nobody's (NDIS-021).
fn unnamed(site: &Site, passive: &Passive) {
    let mut registration = site.registration();
    registration.description.channel = None;
    let assigned = site.miniport();
    if let Some(channel) = site.start(passive, &assigned, registration) {
        give_back(site, passive, &assigned, channel);
    }
    let alone = Miniport::new(&site.platform, None);
    site.misuses.expect(REGISTER, &["NDIS-021"]);
    let refused = alone.initialize(passive, || {
        alone.set_attributes(passive, Attributes::SUBORDINATE);
        alone.register_dma_channel(passive, registration)
    });
    let why = refused.map(drop).err().and_then(|failed| failed.why);
    site.require(why == Some(RegisterError::NoChannel), "NDIS-021", || {
        format!("a channel that nobody named was registered: {why:?}")
    });
}

fn one(rule: &'static str) -> &'static [&'static str] {
    match rule {
        "NDIS-011" => &["NDIS-011"],
        "NDIS-018" => &["NDIS-018"],
        _ => &["NDIS-020"],
    }
}

/// What a miniport may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Initialize,
    SetAttributes,
    Register,
    Deregister,
    Halt,
}

impl Call {
    const ALL: [Self; 5] = [
        Self::Initialize,
        Self::SetAttributes,
        Self::Register,
        Self::Deregister,
        Self::Halt,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Initialize => INITIALIZE,
            Self::SetAttributes => ATTRIBUTES,
            Self::Register => REGISTER,
            Self::Deregister => DEREGISTER,
            Self::Halt => HALT,
        }
    }

    /// The rule it breaks in a phase, as the pages say it and not as the table does (NDIS-011, NDIS-018).
    fn breaks(self, phase: Phase) -> Option<&'static str> {
        use Phase::{Attributed, Halting, Initializing, Running, Stopped};
        let (allowed, rule) = match self {
            Self::Initialize => (phase == Stopped, "NDIS-011"),
            Self::SetAttributes => (matches!(phase, Initializing | Attributed), "NDIS-011"),
            Self::Register => (phase == Attributed, "NDIS-011"),
            Self::Deregister => (matches!(phase, Initializing | Attributed | Halting), "NDIS-018"),
            Self::Halt => (phase == Running, "NDIS-018"),
        };
        (!allowed).then_some(rule)
    }
}

/// Each call in each phase, on a miniport that has a channel from a life before, where it left it behind.
pub(super) fn phases(site: &Site, passive: &mut Passive) {
    for &phase in Phase::ALL {
        for call in Call::ALL {
            let miniport = site.miniport();
            let mut left = None;
            if call == Call::Deregister {
                left = site.start(passive, &miniport, site.registration());
                site.misuses.expect(HALT, &["NDIS-018"]);
                miniport.halt(passive, || ());
                if phase == Phase::Running {
                    // It is refused there, so the next halt finds it too.
                    site.misuses.expect(HALT, &["NDIS-018"]);
                }
            }
            within(phase, &miniport, passive, || {
                make(site, passive, &miniport, call, &mut left)
            });
            if let Some(channel) = left {
                // Refused it was, so it goes when it may.
                let _ = miniport.initialize(passive, || -> Result<(), ()> {
                    let gone = channel.deregister(passive).map_err(|refused| refused.rule);
                    site.require(gone.is_ok(), "NDIS-018", || {
                        format!("{gone:?} while it initialises")
                    });
                    Err(())
                });
            }
        }
    }
    ends(site, passive);
}

/// Runs this in a phase, and brings the miniport back to where nothing is.
fn within(phase: Phase, miniport: &Miniport<Machine>, passive: &Passive, act: impl FnOnce()) {
    let begin = |act: &mut dyn FnMut(), ends: Result<(), ()>| {
        let _ = miniport.initialize(passive, || {
            act();
            ends
        });
    };
    let mut act = Some(act);
    let mut once = || act.take().map_or((), |act| act());
    match phase {
        Phase::Stopped => once(),
        Phase::Initializing => begin(&mut once, Err(())),
        Phase::Attributed => {
            let attributed = &mut || {
                miniport.set_attributes(passive, Attributes::SUBORDINATE);
                once();
            };
            begin(attributed, Err(()));
        }
        Phase::Running => {
            begin(&mut || {}, Ok(()));
            once();
        }
        Phase::Halting => {
            begin(&mut || {}, Ok(()));
            miniport.halt(passive, once);
            return;
        }
    }
    if miniport.phase() == Phase::Running {
        miniport.halt(passive, || ());
    }
}

/// Makes one call, and judges it.
fn make(
    site: &Site,
    passive: &Passive,
    miniport: &Miniport<Machine>,
    call: Call,
    left: &mut Option<DmaChannel<Machine>>,
) {
    let phase = miniport.phase();
    let breaks = call.breaks(phase);
    if let Some(rule) = breaks {
        site.misuses.expect(call.name(), one(rule));
    }
    let accepted = match call {
        Call::Initialize => miniport
            .initialize(passive, || Err::<(), ()>(()))
            .is_err_and(|e| e.why.is_some()),
        Call::SetAttributes => miniport.set_attributes(passive, Attributes::SUBORDINATE),
        Call::Register => {
            let registered = miniport.register_dma_channel(passive, site.registration());
            registered.is_ok_and(|channel| channel.deregister(passive).is_ok())
        }
        Call::Deregister => match left.take().map(|channel| channel.deregister(passive)) {
            Some(Ok(())) => true,
            Some(Err(refused)) => {
                *left = Some(refused.channel);
                false
            }
            None => return,
        },
        Call::Halt => miniport.halt(passive, || ()).is_some(),
    };
    let rule = breaks.unwrap_or(if call == Call::Deregister || call == Call::Halt {
        "NDIS-018"
    } else {
        "NDIS-011"
    });
    if accepted != breaks.is_none() {
        let what = format!(
            "{call:?} in {phase:?} was {}",
            if accepted { "accepted" } else { "refused" }
        );
        site.machine.find(Rule(rule), what);
    }
}

/// How it ends is what its routine says.
fn ends(site: &Site, passive: &Passive) {
    for attributes in [false, true] {
        for well in [false, true] {
            let miniport = site.miniport();
            let _ = miniport.initialize(passive, || {
                if attributes {
                    miniport.set_attributes(passive, Attributes::SUBORDINATE);
                }
                if well { Ok(()) } else { Err(()) }
            });
            let wanted = if well { Phase::Running } else { Phase::Stopped };
            site.require(miniport.phase() == wanted, "NDIS-017", || {
                format!("a miniport whose routine said {well} is {:?}", miniport.phase())
            });
        }
    }
}
