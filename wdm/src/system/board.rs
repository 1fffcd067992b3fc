//! What one controller's lock guards: its channels, who holds them, who waits, what runs.

use crate::adapter::Adapter;
use crate::channel::allocation::AdapterControl;
use crate::registers::{RegisterBase, Run, Waiting};
use crate::state::State;
use crate::transfer::mapping::{DeviceObject, Job, Mapping};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use longshore_core::Machine;

/// What a transfer context stands for. It is one adapter's for life: a context that is initialised for another adapter
/// stands for another record from then on, whatever its copies stand for. So the state is written under that adapter's
/// lock only, which orders it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    state: AtomicU8,
    adapter: u32,
    /// Whether the adapter made it, for a call of version 1 or 2.
    older: bool,
    /// Whether its AdapterControl runs just now. Kept for the older calls only.
    pub(crate) in_control: AtomicBool,
}

impl Record {
    pub(crate) fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Relaxed))
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// One that is bound to an adapter, and not initialised yet.
    pub(crate) fn bound(adapter: u32) -> Self {
        Self {
            adapter,
            ..Self::default()
        }
    }

    /// One of an adapter's own, for a call of version 1 or 2.
    pub(crate) fn older(adapter: u32) -> Self {
        let record = Self {
            older: true,
            ..Self::bound(adapter)
        };
        record.set_state(State::Ready);
        record
    }

    /// Whether it is one that an adapter made for a call of version 1 or 2.
    pub(crate) fn is_older(&self) -> bool {
        self.older
    }

    /// The number of the adapter that it is bound to.
    pub(crate) fn adapter(&self) -> u32 {
        self.adapter
    }
}

/// Who holds a channel, or kept map registers without one.
///
/// It lives in a list of one node that is made before the lock is taken, and moves from list to list without
/// allocating.
pub(crate) struct Holder<M: Machine> {
    pub(crate) context: Arc<Record>,
    pub(crate) adapter: u32,
    pub(crate) device_object: DeviceObject,
    /// Which grant this is, so that the answer to an old one frees no newer one.
    pub(crate) grant: u64,
    /// Its map registers, if it needs any.
    pub(crate) run: Option<Run<M>>,
    /// What is mapped and not flushed.
    pub(crate) mapping: Option<Arc<Mapping<M>>>,
    /// Bytes are being copied through its map registers: nothing may be mapped, and they may not be freed.
    pub(crate) copying: bool,
}

impl<M: Machine> Holder<M> {
    pub(crate) fn node(context: &Arc<Record>, adapter: u32, device_object: DeviceObject) -> LinkedList<Self> {
        LinkedList::from([Self {
            context: Arc::clone(context),
            adapter,
            device_object,
            grant: 0,
            run: None,
            mapping: None,
            copying: false,
        }])
    }

    pub(crate) fn base(&self) -> Option<RegisterBase> {
        self.run.as_ref().map(Run::base)
    }
}

/// Who waits for a channel.
pub(crate) struct Waiter<M: Machine> {
    pub(crate) context: Arc<Record>,
    pub(crate) adapter: Adapter<M>,
    pub(crate) device_object: DeviceObject,
    pub(crate) routine: AdapterControl<M>,
    /// How many map registers it needs.
    pub(crate) registers: u32,
    /// What it becomes when the channel is its own.
    pub(crate) holder: LinkedList<Holder<M>>,
    /// Its place in the pool's queue, should there be too few registers then.
    pub(crate) place: LinkedList<Waiting<M>>,
}

/// A channel of the controller.
pub(crate) struct Channel<M: Machine> {
    /// How many adapters stand for it.
    pub(crate) adapters: u32,
    /// Whether one of them claimed it for itself.
    pub(crate) claimed: bool,
    /// At most one.
    pub(crate) holder: LinkedList<Holder<M>>,
    /// Those who gave the channel back and kept their map registers, or need none to map.
    pub(crate) kept: LinkedList<Holder<M>>,
    /// First come, first served.
    pub(crate) waiters: LinkedList<Waiter<M>>,
    /// The waiter that holds the channel and waits for map registers: at most one.
    pub(crate) without_registers: LinkedList<Waiter<M>>,
    /// The channel became free where nobody could be served: its deferred call is to do it.
    pub(crate) to_serve: bool,
    /// How many AdapterControls of the channel run just now: more than one only if one of them freed it, and somebody
    /// then asked for it with a routine of his own, now or never. Whoever frees the channel meanwhile leaves all who
    /// wait to the last of them, so that grants never nest.
    pub(crate) controls: u32,
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
            holder: LinkedList::new(),
            kept: LinkedList::new(),
            waiters: LinkedList::new(),
            without_registers: LinkedList::new(),
            to_serve: false,
            controls: 0,
            grants: 0,
            running: LinkedList::new(),
            deliveries: LinkedList::new(),
        }
    }

    /// Whether a request can be granted at once.
    pub(crate) fn is_free(&self) -> bool {
        self.holder.is_empty() && self.waiters.is_empty()
    }

    /// Gives the channel away, to a holder of one node.
    pub(crate) fn grant(&mut self, holder: &mut LinkedList<Holder<M>>, run: Option<Run<M>>) -> u64 {
        self.grants += 1;
        if let Some(holder) = holder.front_mut() {
            holder.grant = self.grants;
            holder.run = run;
        }
        self.holder.append(holder);
        self.grants
    }

    /// The holder of the channel, or of kept map registers, that is this context.
    pub(crate) fn held_by(&mut self, context: &Arc<Record>) -> Option<&mut Holder<M>> {
        self.holder
            .iter_mut()
            .chain(&mut self.kept)
            .find(|holder| Arc::ptr_eq(&holder.context, context))
    }

    /// Takes this context's holder out, to be dropped outside of the lock.
    pub(crate) fn take_holder(&mut self, context: &Arc<Record>) -> LinkedList<Holder<M>> {
        let mine = |holder: &Holder<M>| Arc::ptr_eq(&holder.context, context);
        let taken = take(&mut self.holder, mine);
        if taken.is_empty() {
            take(&mut self.kept, mine)
        } else {
            taken
        }
    }

    /// Takes a waiter out, in a list of its own so that it can be dropped outside of the lock.
    pub(crate) fn take_waiter(&mut self, wanted: impl Fn(&Waiter<M>) -> bool) -> LinkedList<Waiter<M>> {
        take(&mut self.waiters, wanted)
    }

    /// The job that the hardware works on, if its outcome is not fixed.
    pub(crate) fn running(&mut self) -> Option<&mut Job<M>> {
        self.running.front_mut().filter(|job| job.mapping.is_running())
    }
}

/// Takes the first one that is wanted out of a list.
pub(crate) fn take<T>(list: &mut LinkedList<T>, wanted: impl Fn(&T) -> bool) -> LinkedList<T> {
    let Some(place) = list.iter().position(wanted) else {
        return LinkedList::new();
    };
    let mut taken = list.split_off(place);
    let mut behind = taken.split_off(1);
    list.append(&mut behind);
    taken
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
