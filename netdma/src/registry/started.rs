//! A provider as a channel sees it: with what it started with, and with processor groups where it takes them.

use crate::provider::{
    AllocateError, Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics,
    GroupAffinity, Provider, ProviderFlags,
};
use alloc::sync::Arc;
use longshore_core::AtMostDispatch;

/// A provider that has started.
pub(super) struct Started {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) characteristics: Characteristics,
    pub(super) attributes: Attributes,
}

impl Provider for Started {
    fn characteristics(&self) -> Characteristics {
        self.characteristics.clone()
    }

    fn attributes(&self) -> Attributes {
        self.attributes
    }

    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let groups = ProviderFlags::PROCESSOR_GROUPS;
        let group = self
            .characteristics
            .flags
            .contains(groups)
            .then_some(GroupAffinity {
                mask: u64::from(parameters.cpus),
                group: 0,
            });
        let parameters = ChannelParameters { group, ..parameters };
        self.provider.allocate_channel(level, parameters, interface)
    }
}
