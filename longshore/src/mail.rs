//! Where the outcome of an owned operation waits for its owner.
//!
//! Whoever looks at the ring finds everybody's outcomes, so each owned operation has a box. Boxes are used again; a key
//! names one use.

use crate::job::Buffers;
use crate::netdma::Ticket;
use crate::outcome::Outcome;

/// Names one use of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: usize,
    turn: u64,
}

/// What is in a box when the operation is over.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) outcome: Outcome,
    pub(crate) buffers: Buffers,
}

enum Content {
    Free,
    Awaited(Ticket),
    /// Nobody will look: what comes is dropped.
    Unwanted,
    Here(Letter),
}

struct Box {
    turn: u64,
    content: Content,
}

/// All boxes of a channel.
#[derive(Default)]
pub(crate) struct Mail {
    boxes: Vec<Box>,
    free: Vec<usize>,
}

impl Mail {
    /// A box for one more operation.
    pub(crate) fn open(&mut self) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.boxes.push(Box {
                turn: 0,
                content: Content::Free,
            });
            self.boxes.len() - 1
        });
        let used = &mut self.boxes[index];
        used.content = Content::Awaited(Ticket::default());
        Key {
            index,
            turn: used.turn,
        }
    }

    /// The operation is called this in the ring.
    pub(crate) fn name(&mut self, key: Key, ticket: Ticket) {
        if let Some(Content::Awaited(name)) = self.content(key) {
            *name = ticket;
        }
    }

    /// The name of an operation that is not over.
    pub(crate) fn ticket(&self, key: Key) -> Option<Ticket> {
        match self.boxes.get(key.index) {
            Some(Box {
                turn,
                content: Content::Awaited(ticket),
            }) if *turn == key.turn => Some(*ticket),
            _ => None,
        }
    }

    /// Whether the operation is over, and its outcome is here or was taken.
    pub(crate) fn is_over(&self, key: Key) -> bool {
        match self.boxes.get(key.index) {
            Some(used) if used.turn == key.turn => matches!(used.content, Content::Here(_)),
            _ => true,
        }
    }

    /// Whether the outcome was taken.
    pub(crate) fn is_taken(&self, key: Key) -> bool {
        self.boxes.get(key.index).is_none_or(|used| used.turn != key.turn)
    }

    /// Puts an outcome into its box. True if somebody may wait for it.
    pub(crate) fn deliver(&mut self, key: Key, letter: Letter) -> bool {
        match self.content(key) {
            Some(content @ Content::Awaited(_)) => {
                *content = Content::Here(letter);
                true
            }
            Some(_) => {
                self.close(key);
                false
            }
            None => false,
        }
    }

    /// Takes the outcome, once.
    pub(crate) fn take(&mut self, key: Key) -> Option<Letter> {
        match self.content(key) {
            Some(Content::Here(_)) => match self.close(key) {
                Content::Here(letter) => Some(letter),
                _ => None,
            },
            _ => None,
        }
    }

    /// Nobody will ask for this outcome any more. Returns the name of an operation that is not over.
    pub(crate) fn abandon(&mut self, key: Key) -> Option<Ticket> {
        let ticket = self.ticket(key);
        match (ticket, self.content(key)) {
            (Some(_), Some(content)) => *content = Content::Unwanted,
            (None, Some(_)) => drop(self.close(key)),
            _ => {}
        }
        ticket
    }

    /// Nothing will come: the operation was refused.
    pub(crate) fn withdraw(&mut self, key: Key) {
        if self.content(key).is_some() {
            self.close(key);
        }
    }

    /// The box is used no more.
    fn close(&mut self, key: Key) -> Content {
        let used = &mut self.boxes[key.index];
        used.turn += 1;
        self.free.push(key.index);
        std::mem::replace(&mut used.content, Content::Free)
    }

    fn content(&mut self, key: Key) -> Option<&mut Content> {
        let used = self.boxes.get_mut(key.index)?;
        (used.turn == key.turn).then_some(&mut used.content)
    }
}
