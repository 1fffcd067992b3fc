//! Whose turn it is: grants in their order, none inside of another, and nobody forgotten.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::ready;
use bench::narrow::{Habits, Narrow, REACH, REGISTERS, narrow, request};
use bench::{DEVICE, shared};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Dispatch, Passive};
use longshore_drydock::machine::Machine;
use longshore_hardware::BusAddress;
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, Controller, DeviceDescription, DmaWidth, IoAllocationAction,
    MapRegisters, Setup, SystemDma, TransferContext,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What was granted, in its order, and how many AdapterControls run just now.
#[derive(Clone, Default)]
struct Turns {
    order: Arc<Mutex<Vec<u32>>>,
    depth: Arc<AtomicU32>,
}

impl Turns {
    fn order(&self) -> Vec<u32> {
        self.order.lock().unwrap().clone()
    }

    /// A request whose routine notes its number, does something, and answers so. It must be the only one that runs.
    fn request(
        &self,
        number: u32,
        registers: u32,
        action: IoAllocationAction,
        inside: impl FnOnce(&Dispatch, &Adapter<Machine>) + Send + 'static,
    ) -> Allocation<Machine> {
        let turns = self.clone();
        Allocation {
            device_object: DEVICE,
            registers,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(Box::new(
                move |dispatch: &Dispatch, adapter: &Adapter<Machine>, _| {
                    let depth = turns.depth.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(depth, 0, "the AdapterControl of {number} runs inside of another");
                    turns.order.lock().unwrap().push(number);
                    inside(dispatch, adapter);
                    turns.depth.fetch_sub(1, Ordering::Relaxed);
                    action
                },
            )),
        }
    }

    /// One that gives the channel back by its answer.
    fn passing(&self, number: u32, registers: u32) -> Allocation<Machine> {
        self.request(
            number,
            registers,
            IoAllocationAction::DEALLOCATE_OBJECT,
            |_, _| {},
        )
    }

    /// One that frees the channel from inside.
    fn freeing(&self, number: u32, registers: u32, context: &TransferContext) -> Allocation<Machine> {
        let context = context.clone();
        let free = move |dispatch: &Dispatch, adapter: &Adapter<Machine>| {
            adapter.free_channel(dispatch, &context).unwrap();
        };
        self.request(number, registers, IoAllocationAction::KEEP_OBJECT, free)
    }
}

fn ask(
    dispatch: &Dispatch,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    what: Allocation<Machine>,
) {
    let asked = adapter.allocate_channel(dispatch, context, what);
    asked.map_err(|refused| refused.why).unwrap();
}

/// A request of each number on a context of its own, which takes all the registers and frees them from inside.
fn freeing(passive: &Passive, adapter: &Adapter<Machine>, turns: &Turns, numbers: &[u32]) -> Requests {
    let one = |number: &u32| {
        let context = ready(passive, adapter);
        let request = turns.freeing(*number, REGISTERS - 1, &context);
        (adapter.clone(), context, request)
    };
    Requests(numbers.iter().map(one).collect())
}

/// Requests that are to be made.
struct Requests(Vec<(Adapter<Machine>, TransferContext, Allocation<Machine>)>);

impl Requests {
    fn ask(self, dispatch: &Dispatch) {
        for (adapter, context, request) in self.0 {
            ask(dispatch, &adapter, &context, request);
        }
    }
}

fn master(bench: &Narrow, passive: &Passive) -> Adapter<Machine> {
    bench.adapter_of(passive, DeviceDescription::bus_master(16))
}

/// Each of them frees from inside of its AdapterControl what the next one waits for: the channel, the registers, both.
///
/// Proves: R11.
#[test]
fn grants_never_nest_when_a_free_serves_the_channel() {
    narrow(40, Habits::default(), |bench, passive| {
        let (adapter, turns) = (bench.adapter(passive, 0), Turns::default());
        let held = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &held, 3).unwrap();
        let all = freeing(passive, &adapter, &turns, &[1, 2, 3]);
        let other = freeing(passive, &master(bench, passive), &turns, &[4]);
        let last = freeing(passive, &master(bench, passive), &turns, &[5]);
        bench.machine.raise(passive, |dispatch| {
            all.ask(dispatch);
            other.ask(dispatch);
            last.ask(dispatch);
        });
        assert!(turns.order().is_empty());
        bench.free(passive, &adapter, &held);
        let mut order = turns.order();
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3, 4, 5]);
    });
}

/// Proves: R11.
#[test]
fn grants_never_nest_when_registers_come() {
    narrow(40, Habits::default(), |bench, passive| {
        let (first, second, turns) = (
            bench.adapter(passive, 0),
            bench.adapter(passive, 1),
            Turns::default(),
        );
        let held = ready(passive, &first);
        bench.allocate(passive, &first, &held, 3).unwrap();
        let all = freeing(passive, &second, &turns, &[1, 2, 3]);
        let other = freeing(passive, &master(bench, passive), &turns, &[4]);
        bench.machine.raise(passive, |dispatch| {
            all.ask(dispatch);
            other.ask(dispatch);
        });
        assert!(turns.order().is_empty());
        bench.free(passive, &first, &held);
        let mut order = turns.order();
        assert_eq!(order.first(), Some(&1), "it waited longest");
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3, 4]);
    });
}

/// Proves: R11.
#[test]
fn grants_never_nest_in_a_request_that_is_granted_now_or_never() {
    narrow(40, Habits::default(), |bench, passive| {
        let (adapter, turns) = (bench.adapter(passive, 0), Turns::default());
        let held = ready(passive, &adapter);
        let behind = freeing(passive, &adapter, &turns, &[2, 3]);
        let other = freeing(passive, &master(bench, passive), &turns, &[4]);
        let context = held.clone();
        let inside = move |dispatch: &Dispatch, adapter: &Adapter<Machine>| {
            behind.ask(dispatch);
            other.ask(dispatch);
            adapter.free_channel(dispatch, &context).unwrap();
        };
        let request = Allocation {
            flags: AllocationFlags::SYNCHRONOUS,
            ..turns.request(1, 3, IoAllocationAction::KEEP_OBJECT, inside)
        };
        bench
            .machine
            .raise(passive, |dispatch| ask(dispatch, &adapter, &held, request));
        let mut order = turns.order();
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3, 4]);
    });
}

/// Two run at once only if the driver asks for it: now or never, from inside. Whoever comes after waits for both.
///
/// Proves: R11.
#[test]
fn a_request_from_inside_leaves_those_who_wait_to_the_outermost() {
    narrow(20, Habits::default(), |bench, passive| {
        let (adapter, turns) = (bench.adapter(passive, 0), Turns::default());
        let (outer, inner) = (ready(passive, &adapter), ready(passive, &adapter));
        let behind = freeing(passive, &adapter, &turns, &[2]);
        let (context, own) = (inner.clone(), outer.clone());
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let inside = move |dispatch: &Dispatch, adapter: &Adapter<Machine>| {
            adapter.free_channel(dispatch, &own).unwrap();
            let request = Allocation {
                device_object: DEVICE,
                registers: 0,
                flags: AllocationFlags::SYNCHRONOUS,
                routine: Some(Box::new(move |dispatch: &Dispatch, _: &Adapter<Machine>, _| {
                    behind.ask(dispatch);
                    seen.store(true, Ordering::Relaxed);
                    IoAllocationAction::DEALLOCATE_OBJECT
                })),
            };
            ask(dispatch, adapter, &context, request);
        };
        let request = turns.request(1, 0, IoAllocationAction::KEEP_OBJECT, inside);
        bench
            .machine
            .raise(passive, |dispatch| ask(dispatch, &adapter, &outer, request));
        assert!(ran.load(Ordering::Relaxed));
        assert_eq!(turns.order(), [1, 2]);
    });
}

/// Another CPU frees the channel while its AdapterControl runs: who waits is served when that is over.
///
/// Proves: R11.
#[test]
fn whoever_frees_meanwhile_elsewhere_leaves_those_who_wait_to_the_server() {
    narrow(60, Habits::default(), |bench, passive| {
        let (adapter, turns) = (bench.adapter(passive, 0), Turns::default());
        let held = ready(passive, &adapter);
        let behind = freeing(passive, &adapter, &turns, &[2]);
        let other = freeing(passive, &master(bench, passive), &turns, &[3]);
        let [runs, freed] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (machine, freer, context) = (bench.machine.clone(), adapter.clone(), held.clone());
        let (until, done) = (Arc::clone(&runs), Arc::clone(&freed));
        bench.machine.spawn(Cpu(1), "freer", move |passive| {
            while !until.load(Ordering::Relaxed) {
                machine.relax();
            }
            machine.raise(passive, |dispatch| {
                freer.free_channel(dispatch, &context).unwrap();
            });
            done.store(true, Ordering::Relaxed);
        });
        let machine = bench.machine.clone();
        let inside = move |dispatch: &Dispatch, _: &Adapter<Machine>| {
            behind.ask(dispatch);
            other.ask(dispatch);
            runs.store(true, Ordering::Relaxed);
            while !freed.load(Ordering::Relaxed) {
                machine.relax();
            }
        };
        let request = turns.request(1, 3, IoAllocationAction::KEEP_OBJECT, inside);
        bench
            .machine
            .raise(passive, |dispatch| ask(dispatch, &adapter, &held, request));
        let mut order = turns.order();
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3]);
    });
}

/// Proves: A-16.
#[test]
fn those_who_wait_for_registers_get_them_in_the_order_of_their_requests() {
    narrow(20, Habits::default(), |bench, passive| {
        let (first, turns) = (bench.adapter(passive, 0), Turns::default());
        let held = ready(passive, &first);
        bench.allocate(passive, &first, &held, 3).unwrap();
        let waiters = [
            bench.adapter(passive, 1),
            master(bench, passive),
            master(bench, passive),
        ];
        for (number, adapter) in (1..).zip(&waiters) {
            let context = ready(passive, adapter);
            let request = turns.passing(number, 2);
            bench
                .machine
                .raise(passive, |dispatch| ask(dispatch, adapter, &context, request));
        }
        assert!(turns.order().is_empty());
        bench.free(passive, &first, &held);
        assert_eq!(turns.order(), [1, 2, 3]);
    });
}

/// Proves: A-16.
#[test]
fn whoever_waits_behind_one_that_only_passes_through_is_served() {
    narrow(20, Habits::default(), |bench, passive| {
        let (first, second) = (bench.adapter(passive, 0), bench.adapter(passive, 1));
        let turns = Turns::default();
        let held = ready(passive, &first);
        bench.allocate(passive, &first, &held, 3).unwrap();
        for (number, registers) in [(1, 2), (2, 0), (3, 1)] {
            let context = ready(passive, &second);
            let request = turns.passing(number, registers);
            bench
                .machine
                .raise(passive, |dispatch| ask(dispatch, &second, &context, request));
        }
        assert!(turns.order().is_empty());
        bench.free(passive, &first, &held);
        assert_eq!(turns.order(), [1, 2, 3]);
        // The same behind a request that is granted now or never.
        let (context, behind) = (ready(passive, &first), ready(passive, &first));
        let next = turns.passing(5, 1);
        let inside = move |dispatch: &Dispatch, adapter: &Adapter<Machine>| {
            ask(dispatch, adapter, &behind, next);
        };
        let request = Allocation {
            flags: AllocationFlags::SYNCHRONOUS,
            ..turns.request(4, 2, IoAllocationAction::DEALLOCATE_OBJECT, inside)
        };
        bench
            .machine
            .raise(passive, |dispatch| ask(dispatch, &first, &context, request));
        assert_eq!(turns.order(), [1, 2, 3, 4, 5]);
    });
}

/// What the controller does not reach is no place to bounce through.
#[test]
fn registers_out_of_the_controllers_reach_are_never_used() {
    narrow(0, Habits::default(), |bench, passive| {
        let anywhere = BusAddress::new(u64::MAX);
        let count = u32::try_from(REACH / 4096).unwrap() + 1;
        let pool = MapRegisters::new(passive, &bench.machine, count, anywhere).unwrap();
        let controller = Arc::clone(&bench.controller) as Arc<dyn Controller>;
        let setup = Setup::new(controller)
            .line(bench.machine.line(passive, "far", Cpu(1)))
            .registers(pool.clone());
        let system = SystemDma::register(passive, &bench.machine, setup).unwrap();
        let description = DeviceDescription {
            maximum_length: 8192,
            width: DmaWidth::BITS_32,
            ..DeviceDescription::system(0, 0)
        };
        let adapter = system.adapter(passive, description).unwrap();
        let context = ready(passive, &adapter);
        let registers = adapter.map_registers().min(2);
        bench.allocate(passive, &adapter, &context, registers).unwrap();
        assert_eq!(pool.in_use(), 0);
        let buffer = shared(&bench.machine, REACH + 64, REACH);
        let far = [buffer.range().slice(REACH, 64).unwrap()];
        adapter
            .map_transfer(&*passive, &context, request(&far, 64, true))
            .unwrap_err();
        assert!(bench.programs().is_empty());
        bench.free(passive, &adapter, &context);
    });
}
