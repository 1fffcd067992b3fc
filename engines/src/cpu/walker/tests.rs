//! A walker alone, whose foreman says what the test wants.

use super::*;
use crate::cpu::requests::Request;
use alloc::vec::Vec;
use core::cell::Cell;
use longshore_core::machine::Machine as _;
use longshore_hardware::netdma::ControlFlags;
use longshore_host::{Host, Machine};
use longshore_netdma::Version;

const WORD: u64 = 0x1000;

/// A foreman who remembers what he was told.
struct Scripted {
    wanted: Wanted,
    hold: bool,
    held: Vec<Answer>,
    appended: Cell<u64>,
    /// How often the walker has listened for more.
    listened: Cell<u32>,
    /// At which listening, counted from 1, one more is appended behind the first descriptor, at this address.
    appends: Option<(u32, u64)>,
    machine: Machine,
    faults: Vec<(BusAddress, Cause)>,
    interrupts: Vec<(BusAddress, bool)>,
}

impl Foreman for Scripted {
    fn wanted(&self) -> Wanted {
        self.wanted
    }
    fn hold(&mut self) -> bool {
        core::mem::take(&mut self.hold)
    }
    fn held(&mut self, answer: Answer) {
        self.held.push(answer);
    }
    fn beyond(&self, _: Run, heard: u64) -> u64 {
        self.listened.set(self.listened.get() + 1);
        if let Some((at_listening, next)) = self.appends
            && self.listened.get() == at_listening
        {
            link(&self.machine, 0x40, next);
            self.appended.set(self.appended.get() + 1);
        }
        self.appended.get() - heard
    }
    fn changed(&mut self, _: Run, _: State, _: u64, _: BusAddress) {}
    fn failed(&mut self, at: BusAddress, cause: Cause) {
        self.faults.push((at, cause));
    }
    fn context(&mut self, _: u32) {}
    fn interrupt(&mut self, last: BusAddress, error: bool) {
        self.interrupts.push((last, error));
    }
}

struct Stage {
    host: Host,
    walker: Walker<Machine, Scripted>,
}

fn at(raw: u64) -> BusAddress {
    BusAddress::new(raw)
}

fn link(machine: &Machine, address: u64, next: u64) {
    let link = at(address + offset::NEXT);
    machine.memory().store_u64(link, next).unwrap();
}

impl Stage {
    /// A channel that was given out and started at 0x40. Its pieces have 8 bytes.
    fn started(version: Version, count: u32) -> Self {
        let host = Host::new(longshore_host::Config::default()).unwrap();
        let foreman = Scripted {
            wanted: Wanted::Yes,
            hold: false,
            held: Vec::new(),
            appended: Cell::new(0),
            listened: Cell::new(0),
            appends: None,
            machine: host.machine().clone(),
            faults: Vec::new(),
            interrupts: Vec::new(),
        };
        let config = Config {
            version,
            piece: 8,
            ..Config::default()
        };
        let mut walker = Walker::new(host.machine(), config, foreman);
        walker.allocate(at(WORD));
        walker.load(Chain {
            run: Run::FIRST,
            first: at(0x40),
            count,
        });
        Self { host, walker }
    }

    /// A descriptor of 16 bytes, hence of two pieces, that says when it is done.
    fn describe(&self, address: u64, next: u64) {
        let mut descriptor = Descriptor::copy(at(0x3000), at(0x2000), 16);
        descriptor.control = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
        descriptor.next = at(next);
        let memory = self.host.machine().memory();
        memory.write(at(address), &descriptor.emit()).unwrap();
    }

    /// Finishes the current descriptor, or the next.
    fn finish(&mut self) {
        assert!(self.walker.step(), "there is nothing to do");
        while self.walker.in_the_middle() {
            self.walker.step();
        }
    }

    fn word(&self) -> (u64, TransferStatus) {
        let word = self.host.machine().memory().load_u64(at(WORD)).unwrap();
        let word = CompletionWord::from_raw(word);
        (word.descriptor().raw(), word.status())
    }
}

/// Proves: NETDMA-091.
///
/// While a channel is suspended its user may edit the chain behind the last completed descriptor, so what was read of it
/// before must not be used.
#[test]
fn a_resume_goes_on_behind_the_last_completed_descriptor() {
    for version in [Version::V1_1, Version::V2_0] {
        let mut stage = Stage::started(version, 2);
        stage.describe(0x40, 0x80);
        stage.walker.step();
        stage.walker.foreman.hold = true;
        stage.finish();
        assert_eq!(stage.word(), (0x40, TransferStatus::SUSPEND));
        assert_eq!(stage.walker.foreman.held, [Ok(at(0x40))]);
        assert!(!stage.walker.step());
        stage.describe(0xc0, 0);
        link(stage.host.machine(), 0x40, 0xc0);
        stage.walker.serve(Request::Resume).unwrap();
        assert!(stage.walker.step(), "the link is read");
        stage.finish();
        assert_eq!(stage.word(), (0xc0, TransferStatus::IDLE));
    }
}

/// Proves: NETDMA-077.
#[test]
fn a_replaced_chain_that_cannot_be_read_harms_nobody() {
    let mut stage = Stage::started(Version::V1_1, 1);
    stage.walker.load(Chain {
        run: Run::FIRST,
        first: at(u64::MAX - 63),
        count: 1,
    });
    stage.walker.foreman.wanted = Wanted::Replaced;
    stage.walker.step();
    assert_eq!(stage.word().0, 0);
    assert!(stage.walker.foreman.faults.is_empty() && stage.walker.foreman.interrupts.is_empty());
    stage.walker.foreman.wanted = Wanted::Yes;
    stage.walker.step();
    assert_eq!(stage.word(), (0, TransferStatus::HALTED));
    assert_eq!(stage.walker.foreman.interrupts, [(BusAddress::NULL, true)]);
    assert_eq!(stage.walker.state(), State::Error);
}

/// Proves: NETDMA-043.
///
/// The memory is not the channel's any more.
#[test]
fn a_channel_that_was_given_back_writes_no_word() {
    let mut stage = Stage::started(Version::V1_1, 1);
    stage.describe(0x40, 0);
    stage.walker.step();
    stage.walker.foreman.wanted = Wanted::Released;
    stage.finish();
    assert_eq!(stage.word(), (0, TransferStatus::ACTIVE));
    stage.walker.release();
    assert_eq!(stage.walker.serve(Request::Abort), Err(Unsuccessful));
    assert_eq!(stage.word(), (0, TransferStatus::ACTIVE));
}

/// Proves: NETDMA-077, RACE-7.
///
/// The tail of the old chain does not say Idle, since the channel is not.
#[test]
fn the_current_descriptor_of_a_replaced_chain_says_active() {
    let mut stage = Stage::started(Version::V1_1, 1);
    stage.describe(0x40, 0);
    stage.walker.step();
    stage.walker.foreman.wanted = Wanted::Replaced;
    stage.finish();
    assert_eq!(stage.word(), (0x40, TransferStatus::ACTIVE));
    stage.walker.foreman.wanted = Wanted::Yes;
    stage.walker.load(Chain {
        run: Run::FIRST,
        first: at(0x80),
        count: 1,
    });
    assert_eq!(stage.walker.serve(Request::Abort), Ok(BusAddress::NULL));
    assert_eq!(stage.word(), (0, TransferStatus::HALTED));
}

/// Proves: RACE-1.
///
/// An append may be heard while its descriptor is being done: its link was followed as soon as it was there. Only
/// another look tells whether the descriptor is the tail, and so whether it says Idle or Active.
#[test]
fn a_tail_s_link_is_read_again_where_an_append_was_heard() {
    for (fresh, status) in [(0, TransferStatus::IDLE), (0x80, TransferStatus::ACTIVE)] {
        let mut stage = Stage::started(Version::V1_1, 1);
        stage.describe(0x40, 0);
        stage.walker.step();
        stage.walker.foreman.appends = Some((1, fresh));
        stage.finish();
        assert_eq!(stage.word(), (0x40, status));
    }
}

/// Proves: RACE-1.
///
/// The first append heard is an old one, whose link was followed long ago. The next comes behind the look.
#[test]
fn a_tail_is_looked_at_as_long_as_appends_are_heard() {
    let mut stage = Stage::started(Version::V1_1, 1);
    stage.describe(0x40, 0);
    stage.walker.foreman.appended.set(1);
    stage.walker.foreman.appends = Some((2, 0x80));
    stage.describe(0x80, 0);
    stage.finish();
    assert_eq!(stage.word(), (0x40, TransferStatus::ACTIVE));
    stage.finish();
    assert_eq!(stage.word(), (0x80, TransferStatus::IDLE));
}

/// Proves: NETDMA-072, RACE-2.
///
/// What was appended before the count reached zero is part of the count.
#[test]
fn a_count_takes_in_what_was_appended_before_it_ran_out() {
    let mut stage = Stage::started(Version::V2_0, 1);
    stage.describe(0x40, 0x80);
    stage.describe(0x80, 0xc0);
    stage.walker.foreman.appends = Some((1, 0x80));
    stage.finish();
    assert_eq!(stage.word(), (0x40, TransferStatus::ACTIVE));
    stage.finish();
    assert_eq!(stage.word(), (0x80, TransferStatus::IDLE));
    assert_eq!(stage.walker.next(), at(0xc0));
    assert!(!stage.walker.step(), "beyond its count");
}
