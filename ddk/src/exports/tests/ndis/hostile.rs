//! Calls in any order, at any level, with whatever C code could hand in.

use super::*;
use std::cell::{Cell, RefCell};

/// How many runs there are, and how many calls each has in each part of a miniport's life.
const RUNS: u64 = 240;
const CALLS: u32 = 40;

/// A sequence of numbers that looks like chance.
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, end: usize) -> usize {
        let mut word = self.0.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        self.0.set(word);
        (word >> 20) as usize % end
    }

    fn of<T: Copy>(&self, some: &[T]) -> T {
        some[self.below(some.len())]
    }
}

/// What hostile C code knows: good handles and MDLs, stale ones, and things that are neither.
struct Hostile<'a> {
    board: &'a Board,
    chance: Chance,
    handles: RefCell<Vec<Pointer>>,
    mdls: RefCell<Vec<*mut Mdl>>,
    bytes: Pointer,
    /// The last set-up that succeeded.
    last: Cell<(Pointer, Arguments)>,
    /// How many set-ups and completions succeeded, for hostile code that never gets that far proves little.
    done: [&'a AtomicUsize; 2],
}

impl Hostile<'_> {
    fn handle(&self) -> Pointer {
        self.chance.of(&self.handles.borrow())
    }

    fn mdl(&self) -> *mut Mdl {
        self.chance.of(&self.mdls.borrow())
    }

    fn arguments(&self) -> Arguments {
        let offset = self.chance.of(&[0, 0, 0, 4, 16, u32::MAX]);
        let length = self.chance.of(&[0, 4, 4, 8, 16, 17, u32::MAX]);
        (self.mdl(), offset, length, self.chance.of(&[0, 1, 255]))
    }

    fn describe(&self) -> DmaDescription {
        DmaDescription {
            auto_initialize: self.chance.of(&[0, 0, 1]),
            padding: self.chance.of(&[0, 0, 0, 9]),
            dma_width: self.chance.of(&[0, 0, 0, 1, u32::MAX]),
            dma_channel_specified: self.chance.of(&[0, 0, 1]),
            dma_channel: self.chance.of(&[0, 1, 99]),
            ..description()
        }
    }

    fn allocate_mdl(&self) {
        let mdl = IoAllocateMdl(self.bytes, self.chance.of(&[0, 4, 16, 16]), 0, 0, null_mut());
        self.mdls.borrow_mut().push(mdl);
    }

    /// One call at some level, with whatever comes.
    fn call(&self) {
        let level = self.chance.of(&[
            Irql::PASSIVE,
            Irql::PASSIVE,
            Irql::PASSIVE,
            Irql::DISPATCH,
            Irql::DISPATCH,
            Irql::DEVICE,
        ]);
        self.board.at(level, || match self.chance.below(13) {
            0 => {
                let (_, handle) = self.board.register(self.handle(), &self.describe());
                if !handle.is_null() {
                    self.handles.borrow_mut().extend([handle; 4]);
                }
            }
            1 => drop(self.board.register(self.handle(), null())),
            2 => NdisMDeregisterDmaChannel(self.handle()),
            3 | 4 => self.set_up(),
            5 | 6 => self.complete(),
            7 => drop(NdisMReadDmaCounter(self.handle())),
            8 => drop(NdisMGetDmaAlignment(self.handle())),
            9 => {
                let mut told = attributes(null_mut());
                told.header.kind = self.chance.of(&[0x9e, 0x9e, 0x9f, 0]);
                told.attribute_flags = self.chance.of(&[0, 0, RegistrationAttributes::BUS_MASTER]);
                let _ = self.board.set_attributes(self.handle(), &told);
            }
            10 => self.allocate_mdl(),
            11 => MmBuildMdlForNonPagedPool(self.mdl()),
            _ => match self.chance.below(4) {
                0 => IoFreeMdl(self.mdl()),
                1 => NdisMDeregisterMiniportDriver(self.handle()),
                2 => self.board.port.supply(&[7; 5]),
                _ => self.board.machine.relax(),
            },
        });
    }

    fn set_up(&self) {
        let (handle, arguments) = (self.handle(), self.arguments());
        let status = set_up(handle, arguments);
        if status == SUCCESS {
            self.last.set((handle, arguments));
        }
        self.count(0, status);
    }

    /// Completes what was set up last, or something else.
    fn complete(&self) {
        let (handle, arguments) = match self.chance.below(3) {
            0 => (self.handle(), self.arguments()),
            _ => self.last.get(),
        };
        self.count(1, complete(handle, arguments));
    }

    fn count(&self, which: usize, status: NdisStatus) {
        self.done[which].fetch_add(usize::from(status == SUCCESS), Ordering::Relaxed);
    }

    fn part(&self) {
        (0..CALLS).for_each(|_| self.call());
    }
}

/// A miniport that does anything in each part of its life, and afterwards one that behaves.
fn one(seed: u64, done: &'static [AtomicUsize; 2]) {
    on_board(&Plan::seed(seed), move |board, _| {
        let bytes = kernel::ExAllocatePoolWithTag(0, 16, 1);
        let hostile = Hostile {
            board,
            chance: Chance(Cell::new((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            handles: RefCell::new(vec![null_mut(), with_exposed_provenance_mut(5), board.pdo()]),
            mdls: RefCell::new(vec![null_mut(), with_exposed_provenance_mut(8), bytes.cast()]),
            bytes,
            last: Cell::new((null_mut(), (null_mut(), 0, 0, 0))),
            done: done.each_ref(),
        };
        hostile.allocate_mdl();
        hostile.allocate_mdl();
        hostile
            .mdls
            .borrow()
            .iter()
            .for_each(|mdl| MmBuildMdlForNonPagedPool(*mdl));
        hostile.part();
        let mut script = Script {
            initialize: Box::new(|adapter, _| {
                hostile.handles.borrow_mut().push(adapter);
                let mut told = attributes(null_mut());
                told.adapter_context = hostile.handles.borrow()[0];
                hostile.part();
                let _ = board.set_attributes(adapter, &told);
                let (_, channel) = board.register(adapter, &description());
                if !channel.is_null() {
                    hostile.handles.borrow_mut().extend([channel; 8]);
                }
                hostile.part();
                hostile.chance.of(&[SUCCESS, FAILURE, NdisStatus::PENDING])
            }),
            halt: Box::new(|| {}),
        };
        board.edge.ndis.open(board.device);
        let context = std::ptr::from_mut(&mut script).cast();
        let mut given = characteristics();
        given.halt = Some(unheard);
        let (_, driver) = board.register_driver(context, &given);
        board.edge.ndis.close(board.device);
        let _ = board.edge.start_miniport(board.device, Some(Board::assigned()));
        hostile.handles.borrow_mut().push(driver);
        hostile.part();
        board.edge.stop_miniport(board.device);
        hostile.part();
        // Whatever it left is taken back, and nothing is left of it.
        board.edge.ndis.open(board.device);
        board.edge.clear_device(board.device);
        board.edge.devices.insert(board.device, ());
        for mdl in hostile.mdls.borrow().iter().skip(3) {
            IoFreeMdl(*mdl);
        }
        kernel::ExFreePoolWithTag(bytes, 1);
        let buffer = board.buffer(16);
        board.with_channel(description(), |channel| {
            let before = board.port.moved();
            assert_eq!(set_up(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
            board.wait(before + 16);
            assert_eq!(complete(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
        });
        buffer.free();
    });
}

/// A halt handler of a driver whose context is of no use.
unsafe extern "C" fn unheard(_: Pointer, _: u32) {}

/// No panic, no hang and no leak: the dry dock says so of each run, and the channel works for the next miniport. What the
/// edge tells is what the machine hears.
///
/// Proves: NDIS-010, NDIS-018, A-26.
#[test]
fn calls_in_any_order_with_anything_are_refused_and_leave_nothing() {
    static DONE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    (0..RUNS).for_each(|seed| one(seed, &DONE));
    let done = DONE.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(done.iter().all(|&count| count > 0), "{done:?}");
}
