//! Set-ups that are refused for what they ask for: nothing starts, and nothing is disturbed.

use super::bench::{Bench, LENGTH, MOST, OFFSET, WHOLE};
use super::layer::Arguments;
use longshore_core::Passive;
use longshore_ndis::NdisStatus;
use std::sync::Arc;

/// No bytes, bytes that wrap, and bytes behind the buffer (NDIS-033), or more than the channel was registered for
/// (NDIS-015).
pub(super) fn lengths(bench: &Arc<Bench>, passive: &mut Passive) {
    let range = bench.buffer.ranges()[0];
    let long = Arguments {
        buffer: [range, range].into(),
        ..bench.part(0, MOST + bench.site.facts.unit)
    };
    let parts = [
        (OFFSET, 0),
        (u32::MAX, u32::MAX),
        (u32::MAX - LENGTH + 1, LENGTH),
        (WHOLE, bench.site.facts.unit),
        (WHOLE - LENGTH + bench.site.facts.unit, LENGTH),
    ];
    let wrong = parts.map(|(offset, length)| bench.part(offset, length));
    none_of(bench, passive, wrong.into_iter().chain([long]), "NDIS-033");
    // The whole buffer is allowed.
    bench.prepare(0, 0);
    let all = bench.part(0, WHOLE);
    let whole = bench.set_up((&*passive).into(), &all);
    bench.require(whole == NdisStatus::SUCCESS, "NDIS-033", || {
        format!("a set-up of the whole buffer gave {whole:?}")
    });
    let _ = bench.complete((&*passive).into(), &all);
    bench.again(passive);
}

/// A channel that moves words moves no half of one. Words that begin at an odd address go through a map register, where
/// they do not.
pub(super) fn odd(bench: &Arc<Bench>, passive: &mut Passive) {
    let parts = [(OFFSET, LENGTH - 1), (OFFSET, 1), (OFFSET + 1, LENGTH - 1)];
    let wrong = parts.map(|(offset, length)| bench.part(offset, length));
    none_of(bench, passive, wrong.into_iter(), "NDIS-032");
    bench.prepare(0, u64::from(LENGTH));
    let mut wanted = bench.bytes();
    wanted[OFFSET as usize + 1..][..LENGTH as usize].copy_from_slice(&Bench::pattern(0..u64::from(LENGTH)));
    let part = bench.part(OFFSET + 1, LENGTH);
    let up = bench.set_up((&*passive).into(), &part);
    bench.wait(passive, || false);
    let completed = bench.complete((&*passive).into(), &part);
    let there = bench.bytes() == wanted;
    bench.require(up == NdisStatus::SUCCESS && completed == up && there, "NDIS-031", || {
        format!(
            "words at an odd address were set up with {up:?} and completed with {completed:?}; memory holds {:x?}",
            bench.bytes()
        )
    });
    bench.again(passive);
}

/// Each of them is refused, alone and beside a transfer, which does not notice.
fn none_of(
    bench: &Bench,
    passive: &Passive,
    wrong: impl Iterator<Item = Arguments> + Clone,
    rule: &'static str,
) {
    let level = passive.into();
    let refused = || {
        for arguments in wrong.clone() {
            let said = bench.set_up(level, &arguments);
            bench.require(said == NdisStatus::RESOURCES, rule, || {
                let Arguments { offset, length, .. } = arguments;
                format!("a set-up of {length} bytes from {offset} on gave {said:?}")
            });
        }
    };
    bench.prepare(0, u64::from(LENGTH));
    refused();
    bench.require(bench.moved() == 0, rule, || {
        "a set-up that was refused moved bytes".into()
    });
    bench.check_data(0, 0);
    let up = bench.set_up(level, &bench.arguments());
    refused();
    bench.wait(passive, || false);
    let completed = bench.complete(level, &bench.arguments());
    let both = up == NdisStatus::SUCCESS && completed == NdisStatus::SUCCESS;
    bench.require(both, rule, || {
        format!("beside refused set-ups a transfer was set up with {up:?} and completed with {completed:?}")
    });
    bench.judge(passive, usize::from(both));
}
