//! What a ring needs of the channel beneath it.

use crate::provider::{AppendError, ProviderChannel, StartError, Unsuccessful};
use alloc::sync::Arc;
use longshore_core::AtMostDispatch;
use longshore_hardware::BusAddress;

/// A channel that one user drives, one call at a time. The calls mean what they mean for a [`ProviderChannel`].
///
/// Two kinds of channel can be driven like this: that of a provider, which others may stop at any time and whose
/// engine runs by itself; and one that the user alone has, whose engine runs only when it is [driven](Port::drive). The
/// second kind needs no lock and no atomic access, because `&mut` says that nobody else is there.
pub trait Port {
    /// As [`ProviderChannel::start`].
    fn start(&mut self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError>;

    /// As [`ProviderChannel::append`].
    fn append(&mut self, level: AtMostDispatch<'_>, first: BusAddress, count: u32)
    -> Result<(), AppendError>;

    /// As [`ProviderChannel::suspend`].
    fn suspend(&mut self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful>;

    /// As [`ProviderChannel::resume`].
    fn resume(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// As [`ProviderChannel::abort`].
    fn abort(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// As [`ProviderChannel::reset`].
    fn reset(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// As [`ProviderChannel::free`].
    fn free(&mut self, level: AtMostDispatch<'_>);

    /// Lets an engine that runs on its user's CPU do some of its work, for a bounded time. Nothing to do where the
    /// engine runs by itself.
    fn drive(&mut self, level: AtMostDispatch<'_>) {
        let _ = level;
    }
}

impl<C: ProviderChannel + ?Sized> Port for Arc<C> {
    fn start(&mut self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        (**self).start(level, first, count)
    }

    fn append(
        &mut self,
        level: AtMostDispatch<'_>,
        first: BusAddress,
        count: u32,
    ) -> Result<(), AppendError> {
        (**self).append(level, first, count)
    }

    fn suspend(&mut self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        (**self).suspend(level)
    }

    fn resume(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        (**self).resume(level)
    }

    fn abort(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        (**self).abort(level)
    }

    fn reset(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        (**self).reset(level)
    }

    fn free(&mut self, level: AtMostDispatch<'_>) {
        (**self).free(level);
    }
}
