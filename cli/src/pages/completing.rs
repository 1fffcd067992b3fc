//! Page 003, Completing a DMA Transfer: word, interrupt, both, neither.

use super::netdma::{Bench, Chart, Shape};
use super::stage::{Act, Stage, Trouble, cleanly_in_the_dry_dock, on_threads, until};
use super::timeline::timeline;
use super::{Observation, Page, Play};
use longshore_core::{NtStatus, Passive};
use longshore_drydock::Plan;
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::{CompletionWord, ControlFlags, TransferStatus};

/// The page.
pub(super) const PAGE: Page = Page {
    number: "003",
    name: "Completing a DMA Transfer",
    title: "Completing a DMA Transfer (NetDMA: completion status reporting and interrupts)",
    observe,
    play,
};

const SHAPE: Shape = Shape {
    descriptors: 2,
    bytes: 64,
    piece: 64,
    shared: false,
};

/// The two bits of ControlFlags, and the four ways to set them.
#[derive(Clone, Copy)]
struct Asked {
    /// In a word.
    words: &'static str,
    flags: ControlFlags,
}

const STATUS: ControlFlags = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
const INTERRUPT: ControlFlags = ControlFlags::INTERRUPT_ON_COMPLETION;

const WAYS: [Asked; 4] = [
    Asked {
        words: "status",
        flags: STATUS,
    },
    Asked {
        words: "interrupt",
        flags: INTERRUPT,
    },
    Asked {
        words: "both",
        flags: STATUS.union(INTERRUPT),
    },
    Asked {
        words: "neither",
        flags: ControlFlags::empty(),
    },
];

impl Asked {
    fn wants(self, flag: ControlFlags) -> bool {
        self.flags.contains(flag)
    }

    /// The flags in the names of the page.
    fn flags(self) -> &'static str {
        match (self.wants(STATUS), self.wants(INTERRUPT)) {
            (true, false) => "NET_DMA_STATUS_UPDATE_ON_COMPLETION",
            (false, true) => "NET_DMA_INTERRUPT_ON_COMPLETION",
            (true, true) => "both flags",
            (false, false) => "neither flag",
        }
    }
}

/// What came of one way of asking.
struct Seen {
    asked: Asked,
    chart: Chart,
    word: CompletionWord,
    isr: Vec<BusAddress>,
    dpc: Vec<BusAddress>,
    moved: [Option<u32>; 2],
}

/// A chain of two descriptors: D1 asks for nothing, D2 as `self` says.
impl Act for Asked {
    type Seen = Seen;

    fn act<S: Stage>(&self, stage: &S, passive: &mut Passive) -> Result<Seen, Trouble> {
        let bench = Bench::open(stage, passive, SHAPE)?;
        bench.write_chain(1..=2, |number| match number {
            2 => self.flags,
            _ => ControlFlags::empty(),
        })?;
        let started = bench.start((&*passive).into(), 1);
        if started != NtStatus::SUCCESS {
            return Err(format!("ProviderStartDma returned {started}"));
        }
        bench.wait_until_idle()?;
        if self.wants(STATUS) {
            // The engine knows that it is done before it says so. A word that does not come is seen below.
            until(bench.machine(), || bench.word().raw() != 0);
        }
        if self.wants(INTERRUPT) {
            bench.wait_for_interrupt(passive)?;
        }
        // Only now is it certain that no word and no interrupt comes any more.
        let (isr, dpc) = bench.close((&*passive).into());
        let word = bench.word();
        Ok(Seen {
            asked: *self,
            chart: bench.chart(),
            word,
            isr,
            dpc,
            moved: [bench.moved(1), bench.moved(2)],
        })
    }
}

impl Seen {
    fn word(&self) -> String {
        match self.word.raw() {
            0 => "untouched".to_owned(),
            _ => self.chart.word(self.word),
        }
    }

    fn interrupts(&self) -> String {
        match self.isr.as_slice() {
            [] => "no interrupt".to_owned(),
            [last] => format!(
                "1 interrupt: NetDmaIsr({}), then DPC: {}",
                self.chart.name(*last),
                self.calls_of_the_dpc()
            ),
            more => format!("{} interrupts", more.len()),
        }
    }

    fn calls_of_the_dpc(&self) -> String {
        let calls = self
            .dpc
            .iter()
            .map(|&last| format!("NetDmaInterruptDpc({})", self.chart.name(last)));
        calls.collect::<Vec<_>>().join(", ")
    }

    fn short(&self) -> String {
        format!(
            "{}: word {}, {}",
            self.asked.words,
            self.word(),
            self.interrupts()
        )
    }

    /// What is not as the page says.
    fn wrong(&self) -> Option<String> {
        let last = |told: &[BusAddress]| told.iter().map(|&at| self.chart.name(at)).collect::<Vec<_>>();
        let word_expected = if self.asked.wants(STATUS) {
            self.chart.name(self.word.descriptor()) == "D2" && self.word.status() == TransferStatus::IDLE
        } else {
            self.word.raw() == 0
        };
        let told_expected: &[&str] = if self.asked.wants(INTERRUPT) { &["D2"] } else { &[] };
        let expected = word_expected
            && last(&self.isr) == told_expected
            && last(&self.dpc) == told_expected
            && self.moved == [Some(SHAPE.bytes); 2];
        (!expected).then(|| {
            format!(
                "with {} the page asks for {}, {} and moved data, not for word {}, NetDmaIsr {:?}, DPC {:?}, moved {:?}",
                self.asked.flags(),
                if self.asked.wants(STATUS) { "word D2|Idle" } else { "no word" },
                if self.asked.wants(INTERRUPT) { "one interrupt" } else { "no interrupt" },
                self.word(),
                last(&self.isr),
                last(&self.dpc),
                self.moved
            )
        })
    }
}

fn observe() -> Result<Observation, Trouble> {
    let (mut docked, mut threaded, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for asked in WAYS {
        let (seen, _) = cleanly_in_the_dry_dock(asked, &Plan::straight())?;
        let seen_on_threads = on_threads(asked)?;
        wrong.extend([seen.wrong(), seen_on_threads.wrong()].into_iter().flatten());
        docked.push(seen.short());
        threaded.push(seen_on_threads.short());
    }
    Ok(Observation {
        docked: docked.join("; "),
        threaded: threaded.join("; "),
        besides: None,
        wrong,
    })
}

fn play() -> Result<Play, Trouble> {
    let mut lines =
        vec!["a chain of two descriptors: D1 asks for nothing, D2 by its ControlFlags for".to_owned()];
    let mut shown = Vec::new();
    for asked in WAYS {
        let (seen, run) = cleanly_in_the_dry_dock(asked, &Plan::straight())?;
        lines.push(format!(
            "  {:<36} word {:<10} {}",
            asked.flags(),
            seen.word(),
            seen.interrupts()
        ));
        if asked.flags == STATUS.union(INTERRUPT) {
            shown = timeline(&run.trace, |step| seen.chart.tell(step));
        }
    }
    lines.push(
        "the word is the address of the last processed descriptor, or-ed with its NetDmaTransferStatus"
            .into(),
    );
    Ok(Play {
        lines,
        heading: "with both flags",
        timeline: shown,
    })
}
