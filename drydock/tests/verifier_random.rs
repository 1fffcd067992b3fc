//! Random calls, most of them wrong, with the verifier on: never a panic, never a leak, and what is refused changes
//! nothing.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::ready;
use bench::misuse::{settled, stops};
use bench::narrow::{Habits, Narrow};
use bench::{expect_clean, go};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::machine::{Machine, Memory};
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusRange, Lease};
use longshore_wdm::{
    Adapter, AdapterControl, Allocation, AllocationFlags, CommonBuffer, DeviceDescription, DeviceObject,
    FlushRequest, IoAllocationAction, MapRequest, RegisterBase, ScatterGather, State, TransferContext,
};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

/// How many contexts the driver mixes up.
const CONTEXTS: usize = 3;

/// How long each of its two buffers is; one of them is out of reach.
const LENGTH: u64 = 5000;

#[derive(Clone, Copy, Debug)]
enum Call {
    Initialize(usize),
    AllocateNow(usize, u32),
    AllocateInTurn(usize, u32, u32),
    CancelAllocation(usize, usize),
    Map(usize, u64, u32, bool, bool),
    CancelMapped(usize),
    Flush(usize, u64, u32, bool, bool),
    FlushAsMapped(usize, u32),
    FreeChannel(usize),
    FreeObject(usize, u32),
    FreeRegisters(usize, u32),
    AllocateCommon(u32),
    FreeCommon(u32, bool),
    Put,
    Supply(usize),
    Relax,
}

/// Mostly what makes sense, or nothing would ever be under way.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let context = || 0..CONTEXTS;
    let offset = || prop_oneof![8 => Just(0), 1 => 0..LENGTH + 2, 1 => any::<u64>()];
    let length = || prop_oneof![8 => 1..64_u32, 1 => 4990..5010_u32, 1 => any::<u32>(), 1 => Just(0)];
    let count = || prop_oneof![8 => 0..4_u32, 1 => any::<u32>()];
    let call = prop_oneof![
        1 => context().prop_map(Call::Initialize),
        6 => (context(), count()).prop_map(|(c, n)| Call::AllocateNow(c, n)),
        4 => (context(), count(), 0..5_u32).prop_map(|(c, n, action)| Call::AllocateInTurn(c, n, action)),
        1 => (context(), 0..2_usize).prop_map(|(c, device)| Call::CancelAllocation(c, device)),
        12 => (context(), offset(), length(), any::<bool>(), any::<bool>())
            .prop_map(|(c, at, n, far, write)| Call::Map(c, at, n, far, write)),
        1 => context().prop_map(Call::CancelMapped),
        1 => (context(), offset(), length(), any::<bool>(), any::<bool>())
            .prop_map(|(c, at, n, far, write)| Call::Flush(c, at, n, far, write)),
        6 => (context(), length()).prop_map(|(c, n)| Call::FlushAsMapped(c, n)),
        4 => context().prop_map(Call::FreeChannel),
        4 => (context(), 0..5_u32).prop_map(|(c, action)| Call::FreeObject(c, action)),
        4 => (0..4_usize, count()).prop_map(|(base, n)| Call::FreeRegisters(base, n)),
        1 => count().prop_map(Call::AllocateCommon),
        2 => (count(), any::<bool>()).prop_map(|(n, cached)| Call::FreeCommon(n, cached)),
        1 => Just(Call::Put),
        2 => (0..64_usize).prop_map(Call::Supply),
        1 => Just(Call::Relax),
    ];
    proptest::collection::vec(call, 1..80)
}

/// Who calls at random.
struct Driver<'a> {
    bench: &'a Narrow,
    adapter: Adapter<Machine>,
    contexts: Vec<TransferContext>,
    /// The last map of each that was not refused: offset, buffer, direction.
    mapped: [Option<(u64, bool, bool)>; CONTEXTS],
    buffers: [Lease<Memory>; 2],
    /// Every base that was ever granted.
    bases: Arc<Mutex<Vec<(RegisterBase, u32)>>>,
    common: Vec<CommonBuffer<Machine>>,
}

impl<'a> Driver<'a> {
    fn new(bench: &'a Narrow, passive: &Passive, master: bool) -> Self {
        let description = if master {
            DeviceDescription::bus_master(16)
        } else {
            DeviceDescription::system(0, 0)
        };
        Self {
            bench,
            adapter: bench.adapter_of(passive, description),
            contexts: (0..CONTEXTS).map(|_| TransferContext::new()).collect(),
            mapped: [None; CONTEXTS],
            buffers: [false, true].map(|far| bench.buffer(LENGTH, far, 0x5a)),
            bases: Arc::default(),
            common: Vec::new(),
        }
    }

    fn look(&self, passive: &Passive) -> (Vec<State>, u32, Vec<BusRange>) {
        let states = self.contexts.iter();
        let states = states.map(|context| settled(self.adapter.poll(passive, context).state));
        (
            states.collect(),
            self.bench.pool.in_use(),
            self.bench.machine.allocated(),
        )
    }

    /// Makes a call; says whether it was refused.
    fn call(&mut self, passive: &mut Passive, call: Call) -> bool {
        let (bench, adapter) = (self.bench, self.adapter.clone());
        match call {
            Call::Initialize(context) => adapter
                .initialize_transfer_context(&*passive, &mut self.contexts[context])
                .is_err(),
            Call::AllocateNow(context, registers) => self.allocate(passive, context, registers, None),
            Call::AllocateInTurn(context, registers, action) => {
                self.allocate(passive, context, registers, Some(IoAllocationAction(action)))
            }
            Call::CancelAllocation(context, device) => {
                let device = [DEVICE, DeviceObject(7)][device];
                !adapter.cancel_adapter_channel(&*passive, &self.contexts[context], device)
            }
            Call::Map(context, offset, length, far, write) => {
                let segments = [self.buffers[usize::from(far)].range()];
                let mut slots = [BusRange::EMPTY; 4];
                let mut list = ScatterGather::new(&mut slots);
                let request = MapRequest {
                    offset,
                    list: Some(&mut list),
                    ..MapRequest::new(Segments::new(&segments), length, write)
                };
                let mapped = adapter.map_transfer(&*passive, &self.contexts[context], request);
                if mapped.is_ok() {
                    self.mapped[context] = Some((offset, far, write));
                }
                mapped.is_err()
            }
            Call::CancelMapped(context) => adapter.cancel_mapped(&*passive, &self.contexts[context]).is_err(),
            Call::Flush(context, offset, length, far, write) => {
                self.flush(passive, context, offset, length, far, write)
            }
            Call::FlushAsMapped(context, length) => {
                let (offset, far, write) = self.mapped[context].unwrap_or_default();
                self.flush(passive, context, offset, length, far, write)
            }
            Call::FreeChannel(context) => bench.machine.raise(passive, |dispatch| {
                adapter.free_channel(dispatch, &self.contexts[context]).is_err()
            }),
            Call::FreeObject(context, action) => bench.machine.raise(passive, |dispatch| {
                let action = IoAllocationAction(action);
                adapter
                    .free_object(dispatch, &self.contexts[context], action)
                    .is_err()
            }),
            Call::FreeRegisters(base, count) => {
                let known = self.bases.lock().unwrap().get(base).copied();
                let made_up = RegisterBase::from_raw(base as u64 + 1).unwrap();
                // Half of the counts are right.
                let (base, count) = known.map_or((made_up, count), |(base, right)| {
                    (base, if count % 2 == 0 { right } else { count })
                });
                bench.machine.raise(passive, |dispatch| {
                    adapter.free_map_registers(dispatch, base, count).is_err()
                })
            }
            Call::AllocateCommon(length) => {
                let length = length % 10_000;
                let made = adapter.allocate_common_buffer(passive, length, true);
                made.map(|buffer| self.common.push(buffer)).is_err()
            }
            Call::FreeCommon(length, cached) => self.free_common(passive, length, cached),
            Call::Put => match self.adapter.clone().put(&*passive) {
                // A put adapter is its other handles' still.
                Ok(()) => false,
                Err(refused) => {
                    assert!(refused.why.broken_rule().is_some());
                    true
                }
            },
            Call::Supply(bytes) => {
                bench.port.supply(&vec![7; bytes]);
                false
            }
            Call::Relax => {
                bench.machine.relax();
                false
            }
        }
    }

    fn allocate(
        &self,
        passive: &mut Passive,
        context: usize,
        registers: u32,
        action: Option<IoAllocationAction>,
    ) -> bool {
        let bases = Arc::clone(&self.bases);
        let request = Allocation {
            device_object: DEVICE,
            registers,
            flags: if action.is_some() {
                AllocationFlags::ASYNCHRONOUS
            } else {
                AllocationFlags::SYNCHRONOUS
            },
            routine: action.map(|action| -> AdapterControl<Machine> {
                Box::new(move |_, _, granted| {
                    let base = granted.registers.map(|base| (base, registers));
                    bases.lock().unwrap().extend(base);
                    action
                })
            }),
        };
        self.bench.machine.raise(passive, |dispatch| {
            let allocated = self
                .adapter
                .allocate_channel(dispatch, &self.contexts[context], request);
            let base = allocated.as_ref().ok().copied().flatten();
            let known = base.map(|base| (base, registers));
            self.bases.lock().unwrap().extend(known);
            allocated.is_err()
        })
    }

    fn flush(
        &self,
        passive: &Passive,
        context: usize,
        offset: u64,
        length: u32,
        far: bool,
        write: bool,
    ) -> bool {
        let segments = [self.buffers[usize::from(far)].range()];
        let request = FlushRequest {
            buffer: Segments::new(&segments),
            offset,
            length,
            write_to_device: write,
        };
        self.adapter
            .flush(passive, &self.contexts[context], request)
            .is_err()
    }

    fn free_common(&mut self, passive: &Passive, length: u32, cached: bool) -> bool {
        let Some(buffer) = self.common.pop() else {
            return true;
        };
        let length = if length % 2 == 0 { buffer.length() } else { length };
        let at = buffer.address();
        let freed = self
            .adapter
            .free_common_buffer(passive, buffer, length, at, cached);
        freed.map_err(|refused| self.common.push(refused.buffer)).is_err()
    }
}

impl Driver<'_> {
    /// Gives everything back, as often as it takes until nobody waits for anything any more.
    fn clean_up(mut self, passive: &mut Passive) {
        for _ in 0..2 * CONTEXTS {
            for context in 0..CONTEXTS {
                for device in 0..2 {
                    self.call(passive, Call::CancelAllocation(context, device));
                }
                self.call(passive, Call::CancelMapped(context));
                self.call(passive, Call::FlushAsMapped(context, 1));
                self.call(passive, Call::FreeChannel(context));
            }
            let bases = self.bases.lock().unwrap().len();
            for base in 0..bases {
                self.call(passive, Call::FreeRegisters(base, 0));
            }
            self.bench.machine.relax();
        }
        self.common.clear();
        self.adapter.wait_for_callbacks(passive);
        self.adapter.put(&*passive).unwrap();
    }
}

fn random(calls: Vec<Call>, plan: Plan, master: bool, verifies: bool) -> Run {
    go(plan, move |machine, passive| {
        if verifies {
            machine.verify();
        }
        let bench = Narrow::new(machine, passive, Habits::default());
        let mut driver = Driver::new(&bench, passive, master);
        driver.contexts[1..].fill_with(|| ready(passive, &driver.adapter));
        for &call in &calls {
            // What a former call has left to a deferred one comes first.
            (0..8).for_each(|_| machine.relax());
            let before = driver.look(passive);
            if driver.call(passive, call) {
                assert_eq!(driver.look(passive), before, "{call:?}");
            }
        }
        driver.clean_up(passive);
        bench.expect_nothing_held();
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Proves: WDM-330.
    #[test]
    fn whatever_is_called_nothing_panics_or_leaks_and_what_is_refused_changes_nothing(
        calls in calls(), seed in any::<u64>(), master in any::<bool>()
    ) {
        for plan in [Plan::straight(), Plan::seed(seed)] {
            let off = random(calls.clone(), plan.clone(), master, false);
            expect_clean(&off);
            let on = random(calls.clone(), plan, master, true);
            prop_assert_eq!(&off.trace, &on.trace, "the verifier changes nothing");
            let said: Vec<_> = on.findings.iter().map(|found| found.what.clone()).collect();
            let stops: Vec<_> = stops(&on).iter().map(ToString::to_string).collect();
            prop_assert_eq!(&said[..], &stops[..said.len()]);
            prop_assert!(said.len() == stops.len() || said.len() == 8, "eight findings are enough for a run");
        }
    }
}
