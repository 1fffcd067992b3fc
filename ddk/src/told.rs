//! What C code says about a provider, in the words of `longshore_netdma`.
//!
//! Only what C adds is judged here: sizes, revisions, flags that must be zero. Whether the provider is one that can be
//! let in is for [`longshore_netdma::registry`].

use crate::abi::netdma::{
    AllocateHandler, ChainHandler, CommandHandler, FreeHandler, PnpNotification, ProviderAttributes,
    ProviderCharacteristics, SetAffinityHandler, SuspendHandler,
};
use longshore_core::Rule;
use longshore_netdma::registry::{NotificationCode, PowerChange};
use longshore_netdma::{Attributes, Characteristics, Handlers, ProviderFlags, Version};

/// A provider's handlers. One that is absent is never called.
#[derive(Clone, Copy)]
pub(crate) struct Routines {
    pub(crate) set_affinity: Option<SetAffinityHandler>,
    pub(crate) allocate: Option<AllocateHandler>,
    pub(crate) free: Option<FreeHandler>,
    pub(crate) start: Option<ChainHandler>,
    pub(crate) suspend: Option<SuspendHandler>,
    pub(crate) resume: Option<CommandHandler>,
    pub(crate) abort: Option<CommandHandler>,
    pub(crate) append: Option<ChainHandler>,
    pub(crate) reset: Option<CommandHandler>,
}

impl Routines {
    pub(crate) fn new(given: &ProviderCharacteristics) -> Self {
        Self {
            set_affinity: given.set_dma_channel_cpu_affinity,
            allocate: given.allocate_dma_channel,
            free: given.free_dma_channel,
            start: given.start_dma,
            suspend: given.suspend_dma,
            resume: given.resume_dma,
            abort: given.abort_dma,
            append: given.append_dma,
            reset: given.reset_channel,
        }
    }

    /// Which are there.
    fn present(&self) -> Handlers {
        let mut present = Handlers::empty();
        present.set(Handlers::AFFINITY, self.set_affinity.is_some());
        present.set(Handlers::ALLOCATE, self.allocate.is_some());
        present.set(Handlers::FREE, self.free.is_some());
        present.set(Handlers::START, self.start.is_some());
        present.set(Handlers::SUSPEND, self.suspend.is_some());
        present.set(Handlers::RESUME, self.resume.is_some());
        present.set(Handlers::ABORT, self.abort.is_some());
        present.set(Handlers::APPEND, self.append.is_some());
        present.set(Handlers::RESET, self.reset.is_some());
        present
    }
}

/// The version that the characteristics are of.
pub(crate) fn version(given: &ProviderCharacteristics) -> Version {
    Version::new(given.major_version, given.minor_version)
}

/// What the provider says about itself, with the name that was read. `None` if the structure is shorter than its
/// version needs (NETDMA-020).
pub(crate) fn characteristics(
    given: &ProviderCharacteristics,
    name: Option<String>,
) -> Option<Characteristics> {
    let version = version(given);
    let least = if version.counted() {
        ProviderCharacteristics::SIZE_2
    } else {
        ProviderCharacteristics::SIZE_1
    };
    (given.size >= least).then(|| Characteristics {
        version,
        flags: ProviderFlags::from_bits_retain(given.flags),
        handlers: Routines::new(given).present(),
        max_channels: given.max_dma_channel_count,
        friendly_name: name.map(Into::into),
    })
}

/// What the provider starts with. `None` if the structure is not what it must be (NETDMA-022).
pub(crate) fn attributes(given: &ProviderAttributes) -> Option<Attributes> {
    (given.size >= ProviderAttributes::SIZE && given.flags == 0).then(|| Attributes {
        hardware: Version::new(given.major_hw_version, given.minor_hw_version),
        vendor: given.vendor_id,
        channels: given.dma_channel_count,
        maximum_transfer_size: given.maximum_transfer_size,
        maximum_address: given.maximum_address_space.into(),
    })
}

/// What happens to the provider's power, or the rule that the notification breaks.
pub(crate) fn power(given: &PnpNotification) -> Result<PowerChange, Rule> {
    const DOWN: u32 = NotificationCode::ProviderPowerDown as u32;
    const UP: u32 = NotificationCode::ProviderPowerUp as u32;
    let sound = given.structure_revision == PnpNotification::REVISION
        && given.structure_size >= PnpNotification::SIZE
        && given.buffer.is_null()
        && given.buffer_length == 0;
    match given.notification_code {
        _ if !sound => Err(Rule("NETDMA-111")),
        DOWN => Ok(PowerChange::Down),
        UP => Ok(PowerChange::Up),
        _ => Err(Rule("NETDMA-112")),
    }
}
