//! Page 002, NdisMCompleteDmaTransfer: success, resources, and data that is touched too early.

use super::stage::{Act, Stage, Trouble, cleanly_in_the_dry_dock, in_the_dry_dock, on_threads, until};
use super::system::{LENGTH, Rig, description, pattern, rig, tell};
use super::timeline::{Telling, timeline};
use super::{Observation, Page, Play};
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{Event, Passive};
use longshore_drydock::machine::{Step, What};
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusRange, DmaMemory};
use longshore_ndis::{Assigned, Attributes, DmaChannel, Miniport, NdisStatus, Registration};

/// The page.
pub(super) const PAGE: Page = Page {
    number: "002",
    name: "NdisMCompleteDmaTransfer",
    title: "NdisMCompleteDmaTransfer",
    observe,
    play,
};

/// How many bytes have come when a receive is completed early.
const COME: u32 = 12;

/// When the miniport does what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    /// It completes when the NIC says that it is done, and touches the data then.
    Proper,
    /// It completes while most of the data is still to come.
    Early,
    /// It touches the data before it completes.
    Greedy,
}

/// NdisMSetupDmaTransfer and NdisMCompleteDmaTransfer, in one direction.
#[derive(Clone, Copy)]
struct Transfer {
    write_to_device: bool,
    manners: Manners,
}

const SEND: Transfer = Transfer {
    write_to_device: true,
    manners: Manners::Proper,
};
const RECEIVE: Transfer = Transfer {
    write_to_device: false,
    manners: Manners::Proper,
};
const EARLY: Transfer = Transfer {
    write_to_device: false,
    manners: Manners::Early,
};
const GREEDY_SEND: Transfer = Transfer {
    write_to_device: true,
    manners: Manners::Greedy,
};
const GREEDY_RECEIVE: Transfer = Transfer {
    write_to_device: false,
    manners: Manners::Greedy,
};

/// What was seen.
struct Seen {
    set_up: NdisStatus,
    completed: NdisStatus,
    left: u32,
    /// How many bytes arrived, truthfully, where they were to go.
    arrived: Option<u32>,
    /// Whether another transfer could be set up and completed afterwards.
    ready_again: NdisStatus,
    buffer: BusRange,
}

impl Act for Transfer {
    type Seen = Seen;

    fn act<S: Stage>(&self, stage: &S, passive: &mut Passive) -> Result<Seen, Trouble> {
        let rig = rig(stage, passive, true)?;
        let (miniport, channel) = register(&rig, passive)?;
        let wanted = self.supply(&rig)?;
        let ranges = [rig.buffer.range()];
        let buffer = Segments::new(&ranges);
        let set_up = channel.setup_dma_transfer(&*passive, buffer, 0, LENGTH, self.write_to_device);
        // The NIC says by an interrupt of its own that it is done.
        until(stage.machine(), || rig.port.moved() >= wanted);
        if self.manners == Manners::Greedy {
            self.touch(&rig);
        }
        let completed = channel.complete_dma_transfer(&*passive, buffer, 0, LENGTH, self.write_to_device);
        let left = channel.read_counter(&*passive);
        let arrived = self.arrived(&rig);
        let ready_again = again(stage.machine(), passive, &rig, &channel);
        let halted = miniport.halt(passive, || channel.deregister(passive));
        if !matches!(halted, Some(Ok(()))) {
            return Err("NdisMDeregisterDmaChannel was refused".to_owned());
        }
        Ok(Seen {
            set_up,
            completed,
            left,
            arrived,
            ready_again,
            buffer: rig.buffer.range(),
        })
    }
}

/// The NIC's miniport, which initialises and registers its channel.
fn register<M: Machine>(rig: &Rig<M>, passive: &Passive) -> Result<(Miniport<M>, DmaChannel<M>), Trouble> {
    let given = description();
    let assigned = Assigned {
        channel: given.channel,
        request_line: given.request_line,
        device_address: given.device_address,
    };
    let miniport = Miniport::new(&rig.platform, Some(assigned));
    let channel = miniport
        .initialize(passive, || {
            miniport.set_attributes(passive, Attributes::SUBORDINATE);
            miniport.register_dma_channel(passive, Registration::new(LENGTH))
        })
        .map_err(|error| format!("NdisMRegisterDmaChannel: {error}"))?;
    Ok((miniport, channel))
}

/// The channel takes a whole new transfer.
fn again<M: Machine>(machine: &M, passive: &Passive, rig: &Rig<M>, channel: &DmaChannel<M>) -> NdisStatus {
    let moved = rig.port.moved();
    let ranges = [rig.buffer.range()];
    let buffer = Segments::new(&ranges);
    let set_up = channel.setup_dma_transfer(passive, buffer, 0, LENGTH, true);
    if set_up != NdisStatus::SUCCESS {
        return set_up;
    }
    until(machine, || rig.port.moved() >= moved + u64::from(LENGTH));
    channel.complete_dma_transfer(passive, buffer, 0, LENGTH, true)
}

impl Transfer {
    /// Puts the data where it comes from. Says how many bytes the NIC is to move.
    fn supply<M: Machine>(&self, rig: &Rig<M>) -> Result<u64, Trouble> {
        let pattern = pattern();
        if self.write_to_device {
            rig.memory
                .write(rig.buffer.address(), &pattern)
                .map_err(|error| error.to_string())?;
            return Ok(u64::from(LENGTH));
        }
        let coming = match self.manners {
            Manners::Early => &pattern[..COME as usize],
            _ => &pattern,
        };
        rig.port.supply(coming);
        Ok(coming.len() as u64)
    }

    /// Touches data that is not the miniport's yet. What comes of it is the dry dock's to say.
    fn touch<M: Machine>(&self, rig: &Rig<M>) {
        let mut byte = [0];
        let _ = match self.write_to_device {
            true => rig.memory.write(rig.buffer.address(), &byte),
            false => rig.memory.read(rig.buffer.address(), &mut byte),
        };
    }

    fn arrived<M: Machine>(&self, rig: &Rig<M>) -> Option<u32> {
        if !self.write_to_device {
            return rig.received();
        }
        let taken = rig.port.taken();
        (taken == pattern()[..taken.len().min(LENGTH as usize)]).then_some(taken.len() as u32)
    }

    fn words(self) -> &'static str {
        match (self.manners, self.write_to_device) {
            (Manners::Early, _) => "receive, completed early",
            (_, true) => "send (WriteToDevice TRUE)",
            (_, false) => "receive (WriteToDevice FALSE)",
        }
    }

    fn line(self, seen: &Seen) -> String {
        format!("{}: {}", self.words(), seen.completed)
    }

    /// What is to be seen after completing.
    fn aftermath(self, seen: &Seen) -> String {
        let arrived = seen.arrived.map_or("?".to_owned(), |bytes| bytes.to_string());
        let left = match self.manners {
            Manners::Early => format!("NdisMReadDmaCounter: {} left, ", seen.left),
            _ => String::new(),
        };
        let ready = if seen.ready_again == NdisStatus::SUCCESS {
            "yes"
        } else {
            "no"
        };
        format!("{arrived} bytes arrived, {left}the channel is ready again: {ready}")
    }

    /// What is not as the page says.
    fn wrong(self, seen: &Seen) -> Option<String> {
        let (status, arrived) = match self.manners {
            Manners::Early => (NdisStatus::RESOURCES, COME),
            _ => (NdisStatus::SUCCESS, LENGTH),
        };
        let expected = seen.set_up == NdisStatus::SUCCESS
            && seen.completed == status
            && seen.arrived == Some(arrived)
            && seen.left == LENGTH - arrived
            && seen.ready_again == NdisStatus::SUCCESS;
        (!expected).then(|| {
            format!(
                "for a {} the page asks for {status}, {arrived} bytes and a channel that is ready again, \
                 not for set-up {}, complete {}, {:?} bytes, {} left, again {}",
                self.words(),
                seen.set_up,
                seen.completed,
                seen.arrived,
                seen.left,
                seen.ready_again
            )
        })
    }
}

/// The steps to the end of the first transfer.
fn first_transfer(trace: &[Step]) -> &[Step] {
    let completed = |step: &Step| {
        matches!(
            step.what,
            What::Event(Event::Return("NdisMCompleteDmaTransfer", _))
        )
    };
    let end = trace
        .iter()
        .position(completed)
        .map_or(trace.len(), |last| last + 1);
    &trace[..end]
}

/// What the page is not about: the miniport's attributes, and what NDIS calls to do its work, but for the flush.
fn is_background(name: &str) -> bool {
    name == "NdisMSetMiniportAttributes" || !name.starts_with("Ndis") && name != "FlushAdapterBuffersEx"
}

/// What the dry dock says when data is touched before it is completed: the rule, and the words.
fn caught(greedy: Transfer) -> Result<(String, String), Trouble> {
    let (_, run) = in_the_dry_dock(greedy, &Plan::straight())?;
    match run.findings.first() {
        Some(finding) => Ok((finding.rule.to_string(), finding.what.clone())),
        None => Err("data that is touched before NdisMCompleteDmaTransfer is no finding".to_owned()),
    }
}

fn docked(transfer: Transfer) -> Result<(Seen, Run), Trouble> {
    cleanly_in_the_dry_dock(transfer, &Plan::straight())
}

fn observe() -> Result<Observation, Trouble> {
    let (mut in_the_dry_dock, mut threaded) = (Vec::new(), Vec::new());
    let (mut besides, mut wrong) = (Vec::new(), Vec::new());
    for transfer in [SEND, RECEIVE, EARLY] {
        let (seen, _) = docked(transfer)?;
        let seen_on_threads = on_threads(transfer)?;
        wrong.extend(transfer.wrong(&seen));
        wrong.extend(transfer.wrong(&seen_on_threads));
        in_the_dry_dock.push(transfer.line(&seen));
        threaded.push(transfer.line(&seen_on_threads));
    }
    for (greedy, rule, words) in [
        (GREEDY_SEND, "SEED-002-8", "written"),
        (GREEDY_RECEIVE, "SEED-002-9", "read"),
    ] {
        let (found, _) = caught(greedy)?;
        if found != rule {
            wrong.push(format!(
                "data {words} too early is a finding under {found}, not under {rule}"
            ));
        }
        besides.push(format!("data {words} before that: finding {found}"));
    }
    Ok(Observation {
        docked: in_the_dry_dock.join(", "),
        threaded: threaded.join(", "),
        besides: Some(besides.join(", ")),
        wrong,
    })
}

fn play() -> Result<Play, Trouble> {
    let mut lines = vec![format!(
        "NdisMSetupDmaTransfer of {LENGTH} bytes, then NdisMCompleteDmaTransfer:"
    )];
    let mut shown = Vec::new();
    for transfer in [SEND, RECEIVE, EARLY] {
        let (seen, run) = docked(transfer)?;
        lines.push(format!(
            "  {:<30} {:<22} {}",
            transfer.words(),
            seen.completed.to_string(),
            transfer.aftermath(&seen)
        ));
        if transfer.manners == Manners::Proper && !transfer.write_to_device {
            shown = timeline(first_transfer(&run.trace), |step| match step.what {
                What::Event(Event::Call(name) | Event::Return(name, _)) if is_background(name) => {
                    Telling::Silent
                }
                _ => tell(step, seen.buffer),
            });
        }
    }
    for (greedy, when) in [(GREEDY_SEND, "written before"), (GREEDY_RECEIVE, "read before")] {
        let (rule, what) = caught(greedy)?;
        lines.push(format!("  data {when:<25} finding {rule}: {what}"));
    }
    Ok(Play {
        lines,
        heading: "a receive",
        timeline: shown,
    })
}
