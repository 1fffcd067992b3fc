extern crate std;
use super::*;
use std::vec;

const FAR: Limits = Limits {
    reach: 1 << 64,
    unit: 1,
    boundary: 0,
    fragments: 8,
};

fn range(start: u64, len: u64) -> BusRange {
    BusRange::new(BusAddress::new(start), len).unwrap()
}

fn near(reach: u128) -> Limits {
    Limits { reach, ..FAR }
}

fn bounced(at: u64, memory: BusRange, page: u64) -> Bounced {
    Bounced {
        at,
        memory,
        page: BusAddress::new(page),
    }
}

/// Proves: WDM-151, WDM-153.
#[test]
fn a_map_takes_what_is_in_reach_and_fits_the_controller() {
    let pages = [range(0x100, 8), range(0x108, 8), range(0x200, 8), range(0x300, 8)];
    let of = |offset, length, limits| plan(Segments::new(&pages), offset, length, limits, BusRange::EMPTY);
    let all = of(4, 28, FAR).fragments;
    assert_eq!(all, [range(0x104, 12), range(0x200, 8), range(0x300, 8)]);
    let two = Limits { fragments: 2, ..FAR };
    assert_eq!(of(4, 28, two).fragments, [range(0x104, 12), range(0x200, 8)]);
    assert_eq!(of(4, 28, near(0x208)).length, 20);
    assert_eq!(of(16, 16, near(0x200)), Plan::default());
    assert_eq!(of(0, 8, Limits { fragments: 0, ..FAR }), Plan::default());
    let last = [range(u64::MAX - 8, 8)];
    let end = plan(Segments::new(&last), 0, 8, FAR, BusRange::EMPTY);
    assert_eq!(end.fragments, last);
}

/// Proves: A-29.
#[test]
fn a_map_is_shortened_to_whole_units() {
    let four = Limits { unit: 4, ..FAR };
    let pages = [range(0x100, 8), range(0x200, 7)];
    let short = plan(Segments::new(&pages), 0, 15, four, BusRange::EMPTY);
    assert_eq!(short.fragments, [range(0x100, 8), range(0x200, 4)]);
    assert_eq!(plan(Segments::new(&pages), 0, 3, four, BusRange::EMPTY).length, 0);
}

/// Proves: WDM-262.
#[test]
fn what_is_out_of_reach_goes_through_the_run() {
    let pages = [range(0xff8, 16), range(0x5000, 8), range(0x100, 8)];
    let plan = plan(Segments::new(&pages), 0, 32, near(0x1000), range(0x800, 0x100));
    assert_eq!(
        plan.fragments,
        [range(0xff8, 8), range(0x800, 16), range(0x100, 8)],
        "bounced bytes that follow each other are one fragment"
    );
    let through = [
        bounced(8, range(0x1000, 8), 0x800),
        bounced(16, range(0x5000, 8), 0x808),
    ];
    assert_eq!(plan.bounced, through);
    assert_eq!(plan.length, 32);
}

/// Proves: WDM-153.
#[test]
fn a_map_ends_where_the_registers_do() {
    let pages = [range(0x5000, 16), range(0x100, 8)];
    let plan = plan(Segments::new(&pages), 0, 24, near(0x1000), range(0x800, 12));
    assert_eq!((plan.fragments, plan.length), (vec![range(0x800, 12)], 12));
}

#[test]
fn what_is_off_its_unit_goes_through_the_run_until_it_is_on_it_again() {
    let four = Limits { unit: 4, ..FAR };
    // Six bytes that begin right, one that does not, one more, and eight that do.
    let pages = [range(0x100, 6), range(0x201, 1), range(0x302, 1), range(0x400, 8)];
    let plan = plan(Segments::new(&pages), 0, 16, four, range(0x800, 0x100));
    assert_eq!(
        plan.fragments,
        [range(0x100, 4), range(0x800, 4), range(0x400, 8)]
    );
    let through = [
        bounced(4, range(0x104, 2), 0x800),
        bounced(6, range(0x201, 1), 0x802),
        bounced(7, range(0x302, 1), 0x803),
    ];
    assert_eq!(plan.bounced, through);
}

#[test]
fn no_fragment_crosses_a_boundary() {
    let limits = Limits {
        boundary: 0x100,
        reach: 0x1000,
        ..FAR
    };
    let pages = [range(0x1f0, 0x20), range(0x5000, 0x20)];
    let plan = plan(Segments::new(&pages), 0, 0x40, limits, range(0x7f0, 0x100));
    let wanted = [
        range(0x1f0, 0x10),
        range(0x200, 0x10),
        range(0x7f0, 0x10),
        range(0x800, 0x10),
    ];
    assert_eq!(plan.fragments, wanted);
}

/// A few thousand odd buffers: whatever the limits, the plan keeps them, and every byte is where the device finds it.
///
/// Proves: WDM-080.
#[test]
fn every_plan_keeps_the_limits_and_maps_each_byte_once() {
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut pick = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..5000 {
        let count = 1 + pick(6);
        let pages: Vec<_> = (0..count)
            .map(|page| range(0x1000 * page + pick(64), 1 + pick(100)))
            .collect();
        let total = Segments::new(&pages).len().unwrap();
        let offset = pick(total);
        let wanted = 1 + pick(total - offset);
        let limits = Limits {
            reach: u128::from(0x1000 * pick(7)),
            unit: [1, 1, 2, 4, 8][pick(5) as usize],
            boundary: [0, 0, 64, 16][pick(4) as usize],
            fragments: 1 + pick(12) as usize,
        };
        // Its first boundary may be anywhere in it; its units are whole, as a page's are.
        let run = range(0x1_0000 - 8 * pick(4), pick(200));
        let limits = Limits {
            reach: if pick(2) == 0 { 0x10_0000 } else { limits.reach },
            ..limits
        };
        check(&pages, offset, wanted, limits, run);
    }
}

fn check(pages: &[BusRange], offset: u64, wanted: u64, limits: Limits, run: BusRange) {
    let plan = plan(Segments::new(pages), offset, wanted, limits, run);
    let about = std::format!("{pages:?} {offset} {wanted} {limits:?} {run:?} {plan:?}");
    assert!(
        plan.length <= wanted && plan.length.is_multiple_of(limits.unit),
        "{about}"
    );
    assert!(plan.fragments.len() <= limits.fragments, "{about}");
    let mut device: Vec<u64> = Vec::new();
    for fragment in &plan.fragments {
        let (start, end) = (fragment.start().raw(), fragment.end().raw());
        assert!(
            start.is_multiple_of(limits.unit) && fragment.len().is_multiple_of(limits.unit),
            "{about}"
        );
        let inside = run.start().raw() <= start && end <= run.end().raw();
        assert!(inside || u128::from(end) <= limits.reach, "{about}");
        let block = |at: u64| at.checked_div(limits.boundary);
        assert_eq!(block(start), block(end - 1), "{about}");
        device.extend(start..end);
    }
    let memory: Vec<u64> = Segments::new(pages)
        .part(offset, plan.length)
        .flat_map(|part| part.start().raw()..part.end().raw())
        .collect();
    assert_eq!(device.len(), memory.len(), "{about}");
    let mut expected = memory.clone();
    let mut used: Vec<u64> = Vec::new();
    for piece in &plan.bounced {
        for byte in 0..piece.memory.len() {
            let at = (piece.at + byte) as usize;
            assert_eq!(memory[at], piece.memory.start().raw() + byte, "{about}");
            expected[at] = piece.page.raw() + byte;
            used.push(expected[at]);
        }
    }
    assert_eq!(device, expected, "{about}");
    let inside = |at: &u64| run.contains(BusAddress::new(*at));
    assert!(used.iter().all(inside), "{about}");
    assert!(
        used.is_sorted_by(|one, next| one < next),
        "no byte of the run twice: {about}"
    );
}
