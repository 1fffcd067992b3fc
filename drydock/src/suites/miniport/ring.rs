//! A NIC that receives into one ring of memory, as its miniports do (RL-09): demand mode, an offset that walks, a counter
//! that is polled until it stands still, an early completion, and the residual read behind it.

use super::bench::{Bench, LENGTH, WHOLE};
use super::intruder::Intruder;
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_ndis::NdisStatus;
use std::sync::Arc;

/// How many bytes come, reception by reception. Each is even, and few of them fill what is set up.
const RECEPTIONS: [u32; 6] = [10, LENGTH, 2, 14, 22, 6];

/// So many polls without a byte: the NIC is idle.
const IDLE: u32 = 12;

/// Walks through the ring, or sends from it, and somewhere the miniport loses its patience.
pub(super) fn walk(bench: &Arc<Bench>, passive: &mut Passive) {
    let mut ring = bench.bytes();
    let mut offset = 0;
    bench.fill(0, &ring);
    let intruder = Intruder::arm(&bench.machine, |_| {});
    for (round, come) in (0u64..).zip(RECEPTIONS) {
        let room = LENGTH.min(WHOLE - offset);
        let come = come.min(room);
        let bytes = Bench::pattern(round * 50..round * 50 + u64::from(come));
        let place = offset as usize..(offset + come) as usize;
        bench.far.begin();
        if bench.terms.write {
            ring[place].copy_from_slice(&bytes);
            bench.fill(0, &ring);
            bench.far.take_at_most(u64::from(come));
        } else {
            bench.far.supply(&bytes);
        }
        let Some(moved) = reception(bench, passive, offset, room, &intruder) else {
            return;
        };
        let got = &bytes[..(moved as usize).min(bytes.len())];
        if !bench.terms.write {
            ring[offset as usize..][..got.len()].copy_from_slice(got);
        }
        let there = bench.bytes() == ring && (!bench.terms.write || bench.far.taken() == got);
        bench.require(there, "RL-09", || {
            format!(
                "{moved} bytes from {offset} on were moved, and the ring is {:x?}",
                bench.bytes()
            )
        });
        offset = (offset + moved) % WHOLE;
    }
    intruder.settle();
    bench.again(passive);
}

/// One reception into what is free there. Says how many bytes came, as the counter tells it afterwards.
fn reception(bench: &Bench, passive: &Passive, offset: u32, room: u32, intruder: &Intruder) -> Option<u32> {
    let level = passive.into();
    let part = bench.part(offset, room);
    let up = bench.set_up(level, &part);
    bench.require(up == NdisStatus::SUCCESS, "NDIS-041", || {
        format!("the channel is not free after a complete: a set-up gave {up:?}")
    });
    if up != NdisStatus::SUCCESS {
        return None;
    }
    let (mut last, mut idle) = (room, 0);
    while idle < IDLE && last > 0 && !intruder.is_done() {
        let left = bench.counter(level);
        bench.require(left <= last, "RL-09", || {
            format!("the counter went back from {last} to {left}")
        });
        idle = if left == last { idle + 1 } else { 0 };
        last = left;
        bench.machine.relax();
    }
    let completed = bench.complete(level, &part);
    let left = bench.counter(level);
    let moved = bench.moved();
    bench.require(u64::from(left) + moved == u64::from(room), "RL-09", || {
        format!("after completing the counter reads {left}, but {moved} of {room} bytes were moved")
    });
    let success = completed == NdisStatus::SUCCESS;
    bench.require(success == (moved == u64::from(room)), "SEED-002-6", || {
        format!("{moved} of {room} bytes were moved, which gave {completed:?}")
    });
    u32::try_from(moved).ok()
}
