//! Transfer contexts of C code.
//!
//! C allocates 128 bytes at any address, and what is kept in them is a number. The context that it stands for is
//! here, so whatever C writes there can at worst name another context, or none.

use crate::handles::hold;
use longshore_wdm::TransferContext;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many contexts a machine has. A context is never given back, so beyond this the oldest that is idle goes.
const MOST: usize = 4096;

/// The first half of what is written: that a number follows.
const MARK: u64 = u64::from_le_bytes(*b"LsDmaTC\x01");

static NEXT: AtomicU64 = AtomicU64::new(1);

/// One context, and where the adapter stands that it was initialised for.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) context: TransferContext,
    pub(crate) adapter: usize,
}

/// All contexts of a machine, oldest first.
#[derive(Default)]
pub(crate) struct Contexts(Mutex<BTreeMap<u64, Entry>>);

impl Contexts {
    /// What the words at the begin of C's bytes name.
    pub(crate) fn get(&self, words: [u64; 2]) -> Option<Entry> {
        let [mark, number] = words;
        (mark == MARK).then(|| hold(&self.0).get(&number).cloned())?
    }

    /// Keeps a context. Returns what is to be written at the begin of C's bytes, or `None` if there are too many that
    /// are not idle.
    pub(crate) fn insert(&self, entry: Entry, is_idle: impl Fn(&Entry) -> bool) -> Option<[u64; 2]> {
        while hold(&self.0).len() >= MOST {
            // Asked outside of the lock.
            let all: Vec<_> = hold(&self.0)
                .iter()
                .map(|(at, entry)| (*at, entry.clone()))
                .collect();
            let (oldest, _) = all.into_iter().find(|(_, entry)| is_idle(entry))?;
            hold(&self.0).remove(&oldest);
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        hold(&self.0).insert(number, entry);
        Some([MARK, number])
    }

    /// Forgets the contexts of an adapter that is no more.
    pub(crate) fn forget(&self, adapter: usize) {
        hold(&self.0).retain(|_, entry| entry.adapter != adapter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(adapter: usize) -> Entry {
        let context = TransferContext::new();
        Entry { context, adapter }
    }

    #[test]
    fn a_context_is_found_by_what_was_written_and_by_nothing_else() {
        let contexts = Contexts::default();
        let [mark, number] = contexts.insert(entry(1), |_| true).unwrap();
        assert!(contexts.get([mark, number]).is_some());
        assert!(contexts.get([mark ^ 1, number]).is_none());
        assert!(contexts.get([mark, number + 1]).is_none());
        assert!(Contexts::default().get([mark, number]).is_none());
        contexts.forget(1);
        assert!(contexts.get([mark, number]).is_none());
    }

    #[test]
    fn contexts_have_an_end_and_the_oldest_idle_one_goes() {
        let contexts = Contexts::default();
        let words: Vec<_> = (0..MOST)
            .map(|_| contexts.insert(entry(1), |_| false).unwrap())
            .collect();
        assert!(contexts.insert(entry(2), |_| false).is_none());
        assert!(contexts.insert(entry(2), |_| true).is_some());
        assert!(contexts.get(words[0]).is_none() && contexts.get(words[1]).is_some());
        assert_eq!(hold(&contexts.0).len(), MOST);
    }
}
