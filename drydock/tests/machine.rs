//! The deterministic machine: levels, waits, interrupts, timers, and what it does instead of hanging.

use longshore_core::irql::{Dispatch, Irql, Passive};
use longshore_core::machine::{Cpu, Deferred, Lock, Machine as _, Signal, Timer, Waited};
use longshore_drydock::machine::What;
use longshore_drydock::{Config, Fault, Machine, Plan, Run, run};
use longshore_hardware::{BusAddress, DmaMemory, Interrupt, Lease};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn dock(plan: &Plan, scenario: impl FnOnce(&Machine, &mut Passive) + Send + 'static) -> Run {
    run(&Config::default(), plan, Default::default(), scenario)
}

/// Every plan that the tests try: straight, and some seeds.
fn plans() -> impl Iterator<Item = Plan> {
    std::iter::once(Plan::straight()).chain((0..200).map(Plan::seed))
}

#[test]
fn a_deferred_call_runs_once_at_dispatch_on_its_cpu() {
    for plan in plans() {
        let ran = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&ran);
        let run = dock(&plan, move |machine, passive| {
            let inside = machine.clone();
            let done = Arc::new(machine.signal(passive, "done"));
            let signal = Arc::clone(&done);
            let deferred = machine.deferred(passive, "work", Cpu(1), move |_: &Dispatch| {
                assert_eq!((inside.level(), inside.cpu()), (Irql::DISPATCH, Cpu(1)));
                assert!(Passive::probe(&inside).is_none());
                seen.fetch_add(1, Ordering::Relaxed);
                signal.set();
            });
            deferred.queue();
            assert_eq!(done.wait(passive), Waited::Signalled);
        });
        assert!(run.findings.is_empty(), "{:?}", run.findings);
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_raised_thread_keeps_deferred_calls_of_its_cpu_waiting() {
    for plan in plans() {
        let run = dock(&plan, |machine, passive| {
            let count = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&count);
            let deferred = machine.deferred(passive, "work", Cpu(0), move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            let inside = machine.clone();
            machine.raise(passive, |_| {
                deferred.queue();
                (0..10).for_each(|_| inside.point());
                assert_eq!(count.load(Ordering::Relaxed), 0);
            });
            while count.load(Ordering::Relaxed) == 0 {
                machine.relax();
            }
        });
        assert!(run.findings.is_empty(), "{:?}", run.findings);
    }
}

#[test]
fn a_line_interrupts_until_it_is_lowered() {
    for plan in plans() {
        let run = dock(&plan, |machine, passive| {
            let line = machine.line(passive, "device", Cpu(1));
            let times = Arc::new(AtomicU32::new(0));
            let (lower, counted) = (line.clone(), Arc::clone(&times));
            let connection = machine.connect(passive, &line, move |_| {
                if counted.fetch_add(1, Ordering::Relaxed) == 2 {
                    lower.lower();
                }
                true
            });
            line.raise();
            while times.load(Ordering::Relaxed) < 3 {
                machine.relax();
            }
            (0..20).for_each(|_| machine.relax());
            assert_eq!(times.load(Ordering::Relaxed), 3);
            drop(connection);
        });
        assert!(run.findings.is_empty(), "{:?}", run.findings);
    }
}

#[test]
fn a_line_of_a_higher_level_comes_in_between_a_handler_of_a_lower_one() {
    let nested = plans().filter(|plan| {
        let run = dock(plan, |machine, passive| {
            let (low, high) = (
                machine.line_at(passive, "low", Cpu(1), Irql(4)),
                machine.line_at(passive, "high", Cpu(1), Irql(7)),
            );
            let (inside, lower) = (machine.clone(), low.clone());
            let below = machine.connect(passive, &low, move |_| {
                (0..10).for_each(|_| inside.point());
                assert_eq!(inside.level(), Irql(4));
                lower.lower();
                true
            });
            let (inside, lower) = (machine.clone(), high.clone());
            let above = machine.connect(passive, &high, move |_| {
                assert_eq!(inside.level(), Irql(7));
                lower.lower();
                true
            });
            low.raise();
            high.raise();
            (0..40).for_each(|_| machine.relax());
            drop((below, above));
        });
        assert!(run.findings.is_empty(), "{:?}", run.findings);
        let at = |what| run.trace.iter().position(|step| step.what == what);
        let begins = |name| at(What::Begins("interrupt", name));
        let ends = |name| at(What::Ends("interrupt", name));
        assert!(begins("high") < ends("high") && begins("low") < ends("low"));
        begins("low") < begins("high") && ends("high") < ends("low")
    });
    assert!(nested.count() > 5, "the higher line hardly ever came in between");
}

/// Proves: PAIN-04.
#[test]
fn an_interrupt_that_nobody_answers_is_a_finding_and_no_hang() {
    let run = dock(&Plan::straight(), |machine, passive| {
        let line = machine.line(passive, "device", Cpu(1));
        let _connection = machine.connect(passive, &line, |_| false);
        line.raise();
        let never = machine.signal(passive, "never");
        assert_eq!(never.wait(passive), Waited::Abandoned);
    });
    assert_eq!(run.findings[0].rule.0, "PAIN-04");
}

#[test]
fn time_passes_only_as_far_as_it_must() {
    for plan in plans() {
        let run = dock(&plan, |machine, passive| {
            let done = Arc::new(machine.signal(passive, "done"));
            let signal = Arc::clone(&done);
            let timer = machine.timer(passive, "second", move |_| signal.set());
            timer.set(Duration::from_secs(1));
            let before = machine.now();
            assert_eq!(done.wait(passive), Waited::Signalled);
            let waited = machine.now().0 - before.0;
            assert!((999_000_000..1_100_000_000).contains(&waited), "{waited}");
            assert!(!timer.cancel());
            let never = machine.signal(passive, "never");
            assert_eq!(
                never.wait_for(passive, Duration::from_millis(5)),
                Waited::TimedOut
            );
        });
        assert!(run.findings.is_empty(), "{:?}", run.findings);
    }
}

/// Proves: RL-13.
#[test]
fn a_wait_that_nothing_can_end_says_who_waits_for_what() {
    let run = dock(&Plan::straight(), |machine, passive| {
        let never = machine.signal(passive, "completion");
        assert_eq!(never.wait(passive), Waited::Abandoned);
    });
    assert_eq!(run.findings[0].rule.0, "RL-13");
    assert!(
        run.findings[0]
            .what
            .contains("thread `driver` on cpu 0 waits for `completion`"),
        "{:?}",
        run.findings
    );
}

/// Proves: RL-13.
#[test]
fn two_locks_taken_crosswise_deadlock_under_some_seed() {
    let found = (0..200).map(Plan::seed).find_map(|plan| {
        let run = dock(&plan, |machine, _| {
            let locks = Arc::new((
                machine.lock("a", Irql::DISPATCH, 0),
                machine.lock("b", Irql::DISPATCH, 0),
            ));
            let other = Arc::clone(&locks);
            machine.spawn(Cpu(1), "crosswise", move |_| {
                other.1.with(|_| other.0.with(|_| ()));
            });
            locks.0.with(|_| locks.1.with(|_| ()));
        });
        run.findings.into_iter().next()
    });
    let finding = found.expect("no seed found the deadlock");
    assert_eq!(finding.rule.0, "RL-13");
    assert!(
        finding
            .what
            .contains("spins for lock `b`, which thread `crosswise` holds"),
        "{}",
        finding.what
    );
}

/// Proves: PAIN-10.
#[test]
fn a_lock_taken_by_its_own_holder_is_a_finding() {
    let run = dock(&Plan::straight(), |machine, _| {
        let lock = machine.lock("self", Irql::DISPATCH, 0);
        lock.with(|_| lock.with(|_| ()));
    });
    assert_eq!(run.findings[0].rule.0, "PAIN-10");
}

#[test]
fn a_poll_without_a_bound_is_a_finding_and_no_hang() {
    let config = Config {
        point_limit: 1_000,
        ..Config::default()
    };
    let run = run(&config, &Plan::straight(), Default::default(), |machine, _| {
        loop {
            machine.relax();
        }
    });
    assert_eq!(run.findings[0].rule.0, "RL-13");
}

#[test]
fn a_panic_is_a_finding() {
    let run = dock(&Plan::straight(), |_, _| panic!("as told"));
    assert!(run.findings[0].what.contains("as told"));
}

/// Proves: PAIN-18.
#[test]
fn memory_that_is_not_given_back_is_a_finding() {
    let run = dock(&Plan::straight(), |machine, _| {
        std::mem::forget(Lease::new(machine.memory(), 64, 8).unwrap());
    });
    assert_eq!(run.findings[0].rule.0, "PAIN-18");
}

/// Proves: PAIN-15.
#[test]
fn a_device_that_writes_where_nobody_lent_it_a_byte_is_found() {
    let run = dock(&Plan::straight(), |machine, _| {
        let lease = Lease::new(machine.memory(), 64, 8).unwrap();
        machine.device_memory().write(lease.address(), &[1]).unwrap();
    });
    assert_eq!(run.findings[0].rule.0, "PAIN-15");
    let outside = dock(&Plan::straight(), |machine, _| {
        assert!(
            machine
                .device_memory()
                .write(BusAddress::new(u64::MAX - 1), &[1; 4])
                .is_err()
        );
    });
    assert!(outside.findings.is_empty());
}

#[test]
fn a_bus_error_strikes_at_its_byte() {
    let plan = Plan::straight().with_fault(Fault::BusError(5));
    let run = dock(&plan, |machine, _| {
        use longshore_core::{Event, Owner, Rule};
        let lease = Lease::new(machine.memory(), 8, 8).unwrap();
        machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("PAIN-08")));
        machine.arm(|_| {});
        let device = machine.device_memory();
        device.write(lease.address(), &[1; 4]).unwrap();
        assert!(
            device
                .write(lease.address().checked_add(4).unwrap(), &[2; 4])
                .is_err()
        );
        let mut bytes = [0; 8];
        machine.memory().read(lease.address(), &mut bytes).unwrap();
        assert_eq!(bytes, [1, 1, 1, 1, 2, 0, 0, 0]);
        machine.emit(Event::Handover(lease.range(), Owner::Cpu, Rule("PAIN-08")));
    });
    assert!(run.findings.is_empty(), "{:?}", run.findings);
}

#[test]
fn a_strike_comes_at_every_point_it_is_sent_to() {
    fn scenario(machine: &Machine, _: &mut Passive) {
        let strikes = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&strikes);
        machine.arm(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        (0..10).for_each(|_| machine.point());
        machine.point();
        assert_eq!(strikes.load(Ordering::Relaxed), u32::from(machine.struck()));
    }
    let quiet = dock(&Plan::straight(), scenario);
    assert_eq!((quiet.armed_points, quiet.struck), (11, false));
    for point in 0..quiet.armed_points {
        let run = dock(&Plan::straight().strike_at(point), scenario);
        assert!(run.struck && run.findings.is_empty(), "{:?}", run.findings);
    }
}

#[test]
fn what_a_seed_chose_can_be_taken_again_as_an_explicit_schedule() {
    use longshore_drydock::Schedule;
    fn scenario(machine: &Machine, passive: &mut Passive) {
        let done = Arc::new(machine.signal(passive, "done"));
        for cpu in 0..3 {
            let (inside, signal) = (machine.clone(), Arc::clone(&done));
            machine.spawn(Cpu(cpu), "other", move |_| {
                (0..5).for_each(|_| inside.point());
                signal.set();
            });
        }
        assert_eq!(done.wait(passive), Waited::Signalled);
    }
    for seed in 0..50 {
        let walk = dock(&Plan::seed(seed), scenario);
        let explicit = Plan {
            schedule: Schedule::Explicit(walk.chosen.clone()),
            strike: None,
            fault: None,
        };
        let again = dock(&explicit, scenario);
        assert_eq!(walk.trace, again.trace);
    }
}

#[test]
fn the_explorer_tries_seeds_points_and_faults_in_order() {
    use longshore_drydock::explore::Faults;
    use longshore_drydock::{Effort, Scenario, Target};
    use std::sync::Mutex;
    let plans = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&plans);
    let scenario = Scenario::new("two points", move |machine: &Machine, _: &mut Passive| {
        noted.lock().unwrap().push(machine.plan().to_string());
        machine.arm(|_| {});
        machine.point();
        machine.point();
    });
    let faults = Faults {
        early_interrupts: true,
        ..Faults::default()
    };
    let target = Target {
        name: "noted".into(),
        suite: "test",
        scenarios: vec![scenario.with_faults(faults)],
    };
    let report = target.check(
        Effort {
            seeds: 2,
            at_every_point: true,
        },
        &mut |_| {},
    );
    let expected = [
        "straight",
        "s0",
        "s1",
        "straight@0",
        "s0@0",
        "straight@1",
        "s1@1",
        "straight!early-interrupt@0",
        "straight!early-interrupt@1",
    ];
    assert_eq!(*plans.lock().unwrap(), expected);
    assert_eq!(report.scenarios, expected.len() as u64);
}
