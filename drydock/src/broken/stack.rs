//! A stack above a system DMA controller that is wrong on purpose.

use crate::machine::{Machine, Timer};
use crate::suites::Bay;
use crate::suites::controller::Stack;
use longshore_core::completion::Verdict;
use longshore_core::machine::{Machine as _, Timer as _};
use longshore_core::{AtMostDispatch, Dispatch};
use longshore_wdm::{
    Adapter, CompletionContext, CompletionRoutine, DeviceObject, DmaCompletionStatus, MapError, MapRequest,
    TransferContext,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

struct Mapped {
    adapter: Adapter<Machine>,
    context: Arc<TransferContext>,
    routine: CompletionRoutine<Machine>,
    argument: CompletionContext,
}

/// A stack that calls the completion routine on a controller that cannot interrupt: it polls from a timer of its
/// own and tells the driver what it finds.
#[derive(Default)]
pub struct EagerStack {
    mapped: Mutex<Option<Mapped>>,
    timer: OnceLock<Timer>,
}

impl EagerStack {
    /// Builds the stack.
    pub fn build(bay: &Bay<'_>) -> Arc<dyn Stack> {
        let stack = Arc::new(Self::default());
        let inside = Arc::downgrade(&stack);
        let timer = bay.machine().timer(bay.passive(), "eager poll", move |dispatch| {
            if let Some(stack) = inside.upgrade() {
                stack.poll(dispatch);
            }
        });
        let _ = stack.timer.set(timer);
        stack
    }

    fn arm(&self) {
        if let Some(timer) = self.timer.get() {
            timer.set(Duration::from_micros(2));
        }
    }

    fn poll(&self, dispatch: &Dispatch) {
        let mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mapped) = mapped else { return };
        match mapped.adapter.poll(dispatch, &mapped.context).outcome {
            Some(outcome) => {
                let status = match outcome.verdict {
                    Verdict::Completed => DmaCompletionStatus::COMPLETE,
                    Verdict::Cancelled => DmaCompletionStatus::CANCELLED,
                    Verdict::Failed(_) => DmaCompletionStatus::ERROR,
                };
                (mapped.routine)(
                    dispatch,
                    &mapped.adapter,
                    DeviceObject(0xd0),
                    mapped.argument,
                    status,
                );
            }
            None => {
                *self.mapped.lock().unwrap_or_else(PoisonError::into_inner) = Some(mapped);
                self.arm();
            }
        }
    }
}

impl Stack for EagerStack {
    fn map(
        &self,
        level: AtMostDispatch<'_>,
        adapter: &Adapter<Machine>,
        context: &Arc<TransferContext>,
        mut request: MapRequest<'_, Machine>,
    ) -> Result<u32, MapError> {
        let routine = request.completion.take();
        let argument = request.context;
        let mapped = adapter.map_transfer(level, context, request)?;
        if let Some(routine) = routine {
            let entry = Mapped {
                adapter: adapter.clone(),
                context: Arc::clone(context),
                routine,
                argument,
            };
            *self.mapped.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
            self.arm();
        }
        Ok(mapped)
    }
}
