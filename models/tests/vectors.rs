//! The conformance vectors, run against the model and against models that are wrong on purpose.
#![cfg(feature = "vectors")]

mod bench;

use bench::{Bench, Moving};
use longshore_models::i8237::{I8237, Quirks};
use longshore_models::vectors::{self, Failure, Subject, Vector};
use std::collections::BTreeSet;

fn all() -> Vec<Vector> {
    vectors::parse(vectors::I8237).expect("the vectors are well formed")
}

fn failures(vectors: &[Vector], new: impl Fn() -> Box<dyn Subject>) -> Vec<Failure> {
    vectors
        .iter()
        .filter_map(|vector| vector.run(&mut *new()).err())
        .collect()
}

/// 8237A data sheet, and the wiring of the AT: the head of `vectors/i8237.txt` says how the values were found.
#[test]
fn the_model_passes_all_vectors() {
    let vectors = all();
    let groups: BTreeSet<_> = vectors.iter().map(Vector::group).collect();
    println!("{} vectors in {} groups: {groups:?}", vectors.len(), groups.len());
    assert!(vectors.len() >= 300);
    let failures = failures(&vectors, || Box::new(Bench::new(I8237::new())));
    for failure in &failures {
        println!("{failure}");
    }
    assert_eq!(failures.len(), 0, "of {} vectors", vectors.len());
}

/// 8237A, registers: there is no hidden state beside what is saved, also in the middle of a transfer.
#[test]
fn the_model_passes_them_also_when_its_state_moves_before_each_step() {
    let vectors: Vec<_> = all()
        .into_iter()
        .filter(|vector| vector.group() != "count")
        .collect();
    let moving = || Moving {
        bench: Bench::new(I8237::new()),
        fresh: I8237::new(),
    };
    assert_eq!(failures(&vectors, || Box::new(moving())), []);
}

/// Each single departure from the data sheet fails some vector, but for two that no vector can see: of the masks only
/// four bits have an effect, and high page registers are not part of every AT.
#[test]
fn a_model_that_is_wrong_on_purpose_fails() {
    let vectors = all();
    let unseen = Quirks::EIGHT_MASK_BITS | Quirks::SHORT_HIGH_PAGE;
    for (name, quirk) in Quirks::all().iter_names() {
        let failures = failures(&vectors, || Box::new(Bench::new(I8237::new().with_quirks(quirk))));
        println!("{name}: {} fail, first {:?}", failures.len(), failures.first());
        assert_eq!(failures.is_empty(), unseen.contains(quirk), "{name}");
    }
}
