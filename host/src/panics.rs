//! What becomes of a callback that panics.

use crate::lock::hold;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// A callback or model panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The name its maker gave the object.
    pub name: &'static str,
    /// What it said.
    pub message: String,
}

/// Counts panics and keeps the first: the later ones are mostly its echo, and what a callback may do again and again
/// must not make a list grow.
#[derive(Default)]
pub(crate) struct Panics {
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    count: u64,
    first: Option<Panic>,
}

impl Panics {
    /// Runs `section`. If it panics, that is recorded and there is no result.
    pub(crate) fn catch<R>(&self, name: &'static str, section: impl FnOnce() -> R) -> Option<R> {
        // What a callback left half done is its own; nothing of the machine's is borrowed by it.
        match catch_unwind(AssertUnwindSafe(section)) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.record(name, message_of(&*payload));
                None
            }
        }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        hold(&self.record).count
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<Panic> {
        hold(&self.record).first.clone()
    }

    fn record(&self, name: &'static str, message: String) {
        let mut record = hold(&self.record);
        record.count += 1;
        if record.first.is_none() {
            eprintln!("longshore: \"{name}\" panicked and was stopped: {message}");
            record.first = Some(Panic { name, message });
        }
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "it did not say why".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_is_kept() {
        let panics = Panics::default();
        assert_eq!(panics.catch("fine", || 7), Some(7));
        assert_eq!(panics.count(), 0);
        assert_eq!(panics.catch("first", || panic!("number {}", 1)), None::<()>);
        assert_eq!(panics.catch("second", || panic!("two")), None::<()>);
        assert_eq!(panics.count(), 2);
        let first = panics.first().unwrap();
        assert_eq!((first.name, first.message.as_str()), ("first", "number 1"));
    }
}
