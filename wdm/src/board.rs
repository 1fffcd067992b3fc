//! What one controller's lock guards: its channels, who holds them, who waits, what runs.

use crate::adapter::Adapter;
use crate::allocation::AdapterControl;
use crate::mapping::{DeviceObject, Job, Mapping};
use crate::state::State;
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use longshore_core::Machine;

/// What a transfer context stands for. Both words are read and written under the controller's lock only, which
/// orders them.
#[derive(Debug, Default)]
pub(crate) struct Record {
    state: AtomicU8,
    adapter: AtomicU32,
}

impl Record {
    pub(crate) fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Relaxed))
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// The number of the adapter it was initialised for.
    pub(crate) fn adapter(&self) -> u32 {
        self.adapter.load(Ordering::Relaxed)
    }

    pub(crate) fn bind(&self, adapter: u32) {
        self.adapter.store(adapter, Ordering::Relaxed);
    }
}

/// Who holds a channel.
pub(crate) struct Holder<M: Machine> {
    pub(crate) context: Arc<Record>,
    pub(crate) adapter: u32,
    pub(crate) device_object: DeviceObject,
    /// Which grant this is, so that the answer to an old one frees no newer one.
    pub(crate) grant: u64,
    /// What is mapped and not flushed.
    pub(crate) mapping: Option<Arc<Mapping<M>>>,
}

/// Who waits for a channel.
pub(crate) struct Waiter<M: Machine> {
    pub(crate) context: Arc<Record>,
    pub(crate) adapter: Adapter<M>,
    pub(crate) device_object: DeviceObject,
    pub(crate) routine: AdapterControl<M>,
}

/// A channel of the controller.
pub(crate) struct Channel<M: Machine> {
    /// How many adapters stand for it.
    pub(crate) adapters: u32,
    /// Whether one of them claimed it for itself.
    pub(crate) claimed: bool,
    pub(crate) holder: Option<Holder<M>>,
    /// First come, first served.
    pub(crate) waiters: LinkedList<Waiter<M>>,
    /// Whether somebody is serving the waiters. Whoever frees the channel meanwhile leaves them to him, so that
    /// grants never nest.
    pub(crate) serving: bool,
    pub(crate) grants: u64,
    /// What the hardware runs: at most one. A job without a callback stays here until its flush, ended or not.
    pub(crate) running: LinkedList<Job<M>>,
    /// What has ended and is to be told.
    pub(crate) deliveries: LinkedList<Job<M>>,
}

impl<M: Machine> Channel<M> {
    fn new() -> Self {
        Self {
            adapters: 0,
            claimed: false,
            holder: None,
            waiters: LinkedList::new(),
            serving: false,
            grants: 0,
            running: LinkedList::new(),
            deliveries: LinkedList::new(),
        }
    }

    /// Whether a request can be granted at once.
    pub(crate) fn is_free(&self) -> bool {
        self.holder.is_none() && self.waiters.is_empty()
    }

    /// Gives the channel away.
    pub(crate) fn grant(&mut self, context: Arc<Record>, adapter: u32, device_object: DeviceObject) -> u64 {
        self.grants += 1;
        self.holder = Some(Holder {
            context,
            adapter,
            device_object,
            grant: self.grants,
            mapping: None,
        });
        self.grants
    }

    /// The holder, if it is this context.
    pub(crate) fn held_by(&mut self, context: &Arc<Record>) -> Option<&mut Holder<M>> {
        self.holder
            .as_mut()
            .filter(|holder| Arc::ptr_eq(&holder.context, context))
    }

    /// Takes a waiter out, in a list of its own so that it can be dropped outside of the lock.
    pub(crate) fn take_waiter(&mut self, wanted: impl Fn(&Waiter<M>) -> bool) -> LinkedList<Waiter<M>> {
        let Some(place) = self.waiters.iter().position(wanted) else {
            return LinkedList::new();
        };
        let mut taken = self.waiters.split_off(place);
        let mut behind = taken.split_off(1);
        self.waiters.append(&mut behind);
        taken
    }

    /// The job that the hardware works on, if its outcome is not fixed.
    pub(crate) fn running(&mut self) -> Option<&mut Job<M>> {
        self.running.front_mut().filter(|job| job.mapping.is_running())
    }
}

/// Everything under one controller's lock.
pub(crate) struct Board<M: Machine> {
    channels: Vec<Channel<M>>,
}

impl<M: Machine> Board<M> {
    pub(crate) fn new(channels: u32) -> Self {
        Self {
            channels: (0..channels).map(|_| Channel::new()).collect(),
        }
    }

    pub(crate) fn channel(&mut self, number: u32) -> Option<&mut Channel<M>> {
        self.channels.get_mut(number as usize)
    }
}
