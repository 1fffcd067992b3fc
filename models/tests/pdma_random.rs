//! Random software and random saved state at the PDMA's model.
#![cfg(feature = "pdma")]
#![allow(clippy::unwrap_used)] // Helpers of tests, though not each is one.

mod bed;

use bed::{GO, Memory, SIZE, get, save};
use longshore_hardware::Width;
use longshore_hardware::pdma::Register;
use longshore_models::pdma::{Behaviour, Pdma};
use longshore_models::{Model, Snapshot, Step};
use proptest::prelude::*;

/// Something that a guest may do.
#[derive(Clone, Debug)]
enum Act {
    Access(u64, Width, Option<u64>),
    Step,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let widths = prop_oneof![
        Just(Width::Byte),
        Just(Width::Word),
        Just(Width::Long),
        Just(Width::Quad)
    ];
    let good = prop_oneof![Just(Width::Long), Just(Width::Quad)];
    let values = prop_oneof![
        4 => 0u64..64,
        2 => any::<u32>().prop_map(u64::from),
        1 => any::<u64>(),
        1 => (0u64..64).prop_map(|less| u64::MAX - less),
    ];
    let start = Just(u64::from(GO.bits()));
    let act = prop_oneof![
        1 => (any::<u64>(), widths, proptest::option::of(values.clone())).prop_map(|(at, w, v)| Act::Access(at, w, v)),
        6 => (0u64..4, 0u64..9, good, proptest::option::of(values)).prop_map(|(channel, register, width, value)| {
            let offset = [0, 4, 8, 0x10, 0x18, 0x104, 0x108, 0x110, 0x118][register as usize];
            Act::Access(channel * 0x1000 + offset, width, value)
        }),
        4 => (0u64..4, start).prop_map(|(channel, go)| Act::Access(channel * 0x1000, Width::Long, Some(go))),
        6 => Just(Act::Step),
    ];
    proptest::collection::vec(act, 1..120)
}

fn act(model: &mut Pdma, memory: &Memory, act: &Act) -> Option<u64> {
    match *act {
        Act::Access(at, width, None) => model.read(at, width).ok(),
        Act::Access(at, width, Some(value)) => model.write(at, width, value).ok().map(|()| 0),
        Act::Step => Some(u64::from(model.step(memory) == Step::Worked)),
    }
}

/// What the channels are told to do next.
fn programmed(model: &mut Pdma) -> [(u64, u64, u64); 4] {
    std::array::from_fn(|channel| {
        let mut next = |register| get(model, channel as u32, register);
        (
            next(Register::NextDestination),
            next(Register::NextSource),
            next(Register::NextBytes),
        )
    })
}

/// Whether a copy is part of a transfer.
fn belongs((to, from, len): (u64, u64, u64), (destination, source, bytes): (u64, u64, u64)) -> bool {
    let done = to.wrapping_sub(destination);
    done == from.wrapping_sub(source) && done.checked_add(len).is_some_and(|end| end <= bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, nothing panics, and no byte is touched that no transfer was told of.
    #[test]
    fn nothing_but_what_was_programmed_is_touched(
        acts in acts(),
        unit in 0u64..9,
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(unit, behaviour), Memory::new());
        let mut told = Vec::new();
        for next in &acts {
            act(&mut model, &memory, next);
            told.extend(programmed(&mut model));
            prop_assert!(model.lines() < 1 << 8);
        }
        for copy in memory.copies.lock().unwrap().iter() {
            prop_assert!(told.iter().any(|transfer| belongs(*copy, *transfer)), "{copy:x?}");
        }
    }

    /// A model that takes on another one's state goes on as the other one does.
    #[test]
    fn restored_state_goes_on_the_same(
        before in acts(),
        after in acts(),
        unit in 0u64..9,
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(unit, behaviour), Memory::new());
        for next in &before {
            act(&mut model, &memory, next);
        }
        let saved = save(&model);
        let (mut twin, other) = (Pdma::new(unit, behaviour), Memory::new());
        other.bytes.lock().unwrap().copy_from_slice(&memory.bytes(0, SIZE));
        prop_assert_eq!(twin.restore(&saved), Ok(()));
        prop_assert_eq!(&twin, &model);
        for next in &after {
            prop_assert_eq!(act(&mut model, &memory, next), act(&mut twin, &other, next));
            prop_assert_eq!(model.lines(), twin.lines());
        }
        prop_assert_eq!(save(&model), save(&twin));
        prop_assert_eq!(memory.bytes(0, SIZE), other.bytes(0, SIZE));
    }

    /// State that was tampered with is refused, and nothing has changed then, or it is state like any other.
    #[test]
    fn foreign_state_is_refused_or_is_state(
        before in acts(),
        after in acts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        qemu in any::<bool>(),
    ) {
        let behaviour = if qemu { Behaviour::Qemu } else { Behaviour::Manual };
        let (mut model, memory) = (Pdma::new(4, behaviour), Memory::new());
        for next in &before {
            act(&mut model, &memory, next);
        }
        let mut saved = save(&model);
        let at = at.index(saved.len());
        saved[at] = byte;
        let untouched = model.clone();
        match model.restore(&saved) {
            Ok(()) => prop_assert_eq!(save(&model), saved),
            Err(_) => prop_assert_eq!(&model, &untouched),
        }
        for next in &after {
            act(&mut model, &memory, next);
        }
        prop_assert_eq!(model.clone().restore(&save(&model)), Ok(()));
    }

    #[test]
    fn bytes_from_anywhere_are_no_state(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Pdma::new(4, Behaviour::Manual).restore(&bytes).is_err());
    }
}
