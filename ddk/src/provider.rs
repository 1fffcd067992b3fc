//! A provider in C, for whoever uses it without the interface.

use crate::driver::Driver;
use crate::module::Attached;
use longshore_core::AtMostDispatch;
use longshore_netdma::provider::AllocateError;
use longshore_netdma::registry::phase::Phase;
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Provider,
};
use std::fmt;
use std::sync::Arc;

/// A provider that C code registered. It keeps its device attached, and so does each of its channels.
///
/// A suite allocates channels here, straight from the provider. A client has them from the
/// [interface](longshore_netdma::NetDma) that the edge was opened with.
pub struct CProvider {
    attached: Arc<Attached>,
    driver: Arc<Driver>,
}

impl CProvider {
    pub(crate) fn new(attached: Arc<Attached>, driver: Arc<Driver>) -> Self {
        Self { attached, driver }
    }
}

impl Provider for CProvider {
    fn characteristics(&self) -> Characteristics {
        self.driver.told.clone()
    }

    fn attributes(&self) -> Attributes {
        self.driver.attributes()
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        asked: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let info = self.attached.edge().info(self.driver.handle);
        if info.is_none_or(|info| info.phase != Phase::Started) {
            return Err(AllocateError::Unsuccessful); // NETDMA-013
        }
        self.driver.open(&asked, interface, Some(self.attached.clone()))
    }
}

impl fmt::Debug for CProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CProvider({})", self.driver.told.version)
    }
}

#[cfg(test)]
mod tests;
