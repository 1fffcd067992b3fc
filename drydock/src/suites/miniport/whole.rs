//! Whole transfers, and those that are completed early as a value.

use super::bench::{Bench, LENGTH, OFFSET};
use super::intruder::Intruder;
use crate::machine::Machine;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_hardware::BusRange;
use longshore_ndis::{Completed, Direction, NdisStatus, Owned, SetUp};
use std::sync::Arc;

/// Where a bench's buffer is. The bench itself has it for the whole run.
pub(super) struct Kept(Arc<[BusRange]>);

impl AsRef<[BusRange]> for Kept {
    fn as_ref(&self) -> &[BusRange] {
        &self.0
    }
}

impl Owned for Kept {}

/// A transfer of a bench's buffer, as a value.
pub(super) type Value = SetUp<Machine, Kept>;

/// Sets the bench's transfer up as a value, which must succeed.
pub(super) fn value(bench: &Bench, passive: &Passive) -> Option<Value> {
    let direction = Direction::from_write_to_device(bench.terms.write);
    let set_up =
        bench
            .channel
            .as_ref()?
            .set_up(passive, Kept(bench.buffer.ranges()), OFFSET, LENGTH, direction);
    bench.require(set_up.is_ok(), "NDIS-031", || {
        format!("a free channel was not set up: {set_up:?}")
    });
    set_up.ok()
}

/// Completes it, at PASSIVE or at DISPATCH.
pub(super) fn complete(
    bench: &Bench,
    passive: &mut Passive,
    set_up: Value,
    high: bool,
) -> Option<Completed<()>> {
    let completed = if high {
        bench.machine.raise(passive, |dispatch| set_up.complete(dispatch))
    } else {
        set_up.complete(&*passive)
    };
    bench.require(completed.is_ok(), "NDIS-041", || {
        "a complete did not free the channel of hardware that stops".into()
    });
    let Completed { status, residual, .. } = completed.ok()?;
    Some(Completed {
        status,
        residual,
        buffer: (),
    })
}

/// A transfer that is given its time succeeds, at both levels, and success means that the data is there.
pub(super) fn whole(bench: &Arc<Bench>, passive: &mut Passive) {
    bench.machine.arm(|_| {});
    for high in [false, true] {
        bench.prepare(0, u64::from(LENGTH));
        let Some(set_up) = value(bench, passive) else {
            return;
        };
        bench.wait(passive, || false);
        let Some(completed) = complete(bench, passive, set_up, high) else {
            return;
        };
        let healthy = completed.status == NdisStatus::SUCCESS && completed.residual == 0;
        bench.require(healthy, "SEED-002-6", || {
            format!("a healthy transfer ended with {completed:?}")
        });
        bench.judge(passive, 1);
    }
}

/// Completed at any point: the channel is free in every case, and the residual is the truth (NDIS-044).
pub(super) fn early(bench: &Arc<Bench>, passive: &mut Passive) {
    bench.prepare(0, u64::from(LENGTH));
    let intruder = Intruder::arm(&bench.machine, |_| {});
    let Some(set_up) = value(bench, passive) else {
        return;
    };
    bench.wait(passive, || intruder.is_done());
    let Some(completed) = complete(bench, passive, set_up, bench.terms.write) else {
        return;
    };
    intruder.settle();
    let moved = bench.moved();
    let right = u64::from(completed.residual) + moved == u64::from(LENGTH);
    bench.require(right, "RL-09", || {
        format!("{completed:?}, but {moved} bytes were moved")
    });
    let success = completed.status == NdisStatus::SUCCESS;
    bench.judge(passive, usize::from(success));
    bench.again(passive);
}
