//! What can be asked of a ring.

use bitflags::bitflags;
use longshore_core::machine::Instant;
use longshore_core::scatter::Segments;
use longshore_hardware::BusRange;
use longshore_hardware::netdma::ControlFlags;

bitflags! {
    /// How an operation is to be done and told.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RequestFlags: u32 {
        /// The engine interrupts when the operation is done. Nothing to do for what the CPU does.
        const INTERRUPT = 0x1;
        /// Everything of the operation is written before the next one reads (NETDMA-060).
        const FENCE = 0x2;
        /// The source need not be snooped; the user has seen to that (NETDMA-065).
        const SOURCE_NO_SNOOP = 0x4;
        /// The destination need not be snooped.
        const DESTINATION_NO_SNOOP = 0x8;
    }
}

impl RequestFlags {
    /// The flags that every descriptor of the operation has.
    pub(super) fn control(self) -> ControlFlags {
        let mut control = ControlFlags::empty();
        control.set(ControlFlags::SERIALIZE_TRANSFER, self.contains(Self::FENCE));
        control.set(
            ControlFlags::SOURCE_NO_SNOOP,
            self.contains(Self::SOURCE_NO_SNOOP),
        );
        control.set(
            ControlFlags::DESTINATION_NO_SNOOP,
            self.contains(Self::DESTINATION_NO_SNOOP),
        );
        control
    }
}

/// One side of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side<'a> {
    One(BusRange),
    Many(&'a [BusRange]),
}

impl Side<'_> {
    pub(super) fn segments(&self) -> Segments<'_> {
        match self {
            Self::One(range) => Segments::new(core::slice::from_ref(range)),
            Self::Many(ranges) => Segments::new(ranges),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    Copy { destination: Side<'a>, source: Side<'a> },
    Null,
    Fill { destination: BusRange, pattern: u64 },
    Compare { left: BusRange, right: BusRange },
}

/// One operation, before it is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) what: What<'a>,
    pub(super) flags: RequestFlags,
    pub(super) deadline: Option<Instant>,
}

impl<'a> Request<'a> {
    const fn new(what: What<'a>) -> Self {
        Self {
            what,
            flags: RequestFlags::empty(),
            deadline: None,
        }
    }

    /// Copies bytes. Both sides are equally long, and share no byte unless they are the same (NETDMA-057).
    pub const fn copy(destination: BusRange, source: BusRange) -> Self {
        Self::new(What::Copy {
            destination: Side::One(destination),
            source: Side::One(source),
        })
    }

    /// Copies bytes that lie in several places, on either side. A buffer that a program sees as one piece, but that
    /// lies in pages here and there, is such a list: so this is the contract's copy from virtual to virtual as well as
    /// from physical to virtual.
    ///
    /// The sides need not be cut at the same bytes. They become as few descriptors as the provider allows: a provider
    /// of version 2.0 goes from one page to the next within one (NETDMA-066).
    #[doc(alias = "NetDmaChainCopyVirtualToVirtual")]
    #[doc(alias = "NetDmaChainCopyPhysicalToVirtual")]
    pub const fn chain(destination: &'a [BusRange], source: &'a [BusRange]) -> Self {
        Self::new(What::Copy {
            destination: Side::Many(destination),
            source: Side::Many(source),
        })
    }

    /// Moves nothing, and is done when everything before it is.
    #[doc(alias = "NetDmaNullTransfer")]
    pub const fn null() -> Self {
        Self::new(What::Null)
    }

    /// Fills bytes with a pattern, which begins with its low byte and is repeated. The CPU does it, in its turn.
    pub const fn fill(destination: BusRange, pattern: u64) -> Self {
        Self::new(What::Fill { destination, pattern })
    }

    /// Compares bytes. The CPU does it, in its turn. It completes, and what is left behind the first difference is
    /// the residue, the differing byte included: nothing if both are the same.
    pub const fn compare(left: BusRange, right: BusRange) -> Self {
        Self::new(What::Compare { left, right })
    }

    /// With these flags too.
    #[must_use]
    pub const fn and(mut self, flags: RequestFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }

    /// Whether the engine interrupts when it is done.
    pub(crate) const fn interrupts(&self) -> bool {
        matches!(self.what, What::Copy { .. } | What::Null) && self.flags.contains(RequestFlags::INTERRUPT)
    }

    /// Cancelled by the first poll from this moment on.
    #[must_use]
    pub const fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}
