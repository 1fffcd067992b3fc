//! Who waits for map registers, and how they are served.

use super::{Adapter, MapRegisters, Pool, Run};
use crate::system::board::take;
use alloc::collections::LinkedList;
use longshore_core::Dispatch;
use longshore_core::machine::{Lock, Machine};

/// Who waits: an adapter's channel, with the grant that is to have the registers.
pub(crate) struct Waiting<M: Machine> {
    pub(crate) adapter: Adapter<M>,
    pub(crate) grant: u64,
    pub(crate) count: u32,
}

impl<M: Machine> MapRegisters<M> {
    /// A run of registers now; or `waiting`, of one node, is queued for one.
    pub(crate) fn take_or_wait(&self, count: u32, waiting: &mut LinkedList<Waiting<M>>) -> Option<Run<M>> {
        self.0.pool.with(|pool| {
            let run = if pool.waiting.is_empty() {
                self.grant(pool, count)
            } else {
                None
            };
            if run.is_none() {
                pool.waiting.append(waiting);
            }
            run
        })
    }

    /// Takes whoever waits with this grant of this adapter's channel out, to be dropped outside of every lock.
    pub(crate) fn stop_waiting(&self, adapter: &Adapter<M>, grant: u64) -> LinkedList<Waiting<M>> {
        self.0.pool.with(|pool| {
            let mine =
                |waiting: &Waiting<M>| waiting.grant == grant && waiting.adapter.shares_channel(adapter);
            take(&mut pool.waiting, mine)
        })
    }

    /// Serves whoever waits, as far as the registers go. One server at a time: who gives registers back meanwhile
    /// leaves the rest to the server, so grants never nest (R11).
    pub(crate) fn serve(&self, dispatch: &Dispatch) {
        let mut first = true;
        loop {
            let next = self.0.pool.with(|pool| self.next_grant(pool, first));
            first = false;
            let Some((run, mut waiting)) = next else { return };
            if let Some(waiting) = waiting.pop_front() {
                let mut service = Service {
                    pool: self,
                    adapter: &waiting.adapter,
                    returned: false,
                };
                waiting.adapter.registers_came(dispatch, waiting.grant, run);
                service.returned = true;
            }
        }
    }

    fn next_grant(&self, pool: &mut Pool<M>, first: bool) -> Option<(Run<M>, LinkedList<Waiting<M>>)> {
        if first && pool.serving {
            return None;
        }
        let head = pool.waiting.front().map(|waiting| waiting.count);
        let run = head.and_then(|count| self.grant(pool, count));
        pool.serving = run.is_some();
        Some((run?, take(&mut pool.waiting, |_| true)))
    }
}

/// One of those who wait is served. Should that unwind, nobody serves any more, and those behind are left to a deferred
/// call.
struct Service<'a, M: Machine> {
    pool: &'a MapRegisters<M>,
    adapter: &'a Adapter<M>,
    returned: bool,
}

impl<M: Machine> Drop for Service<'_, M> {
    fn drop(&mut self) {
        if !self.returned {
            self.pool.0.pool.with(|pool| pool.serving = false);
            self.adapter.serve_unwound();
        }
    }
}
