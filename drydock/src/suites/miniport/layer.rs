//! The calls of NDIS that the suite makes by their arguments: what is under test, or what stands in its place.

use crate::machine::Machine;
use longshore_core::AtMostDispatch;
use longshore_core::scatter::Segments;
use longshore_hardware::BusRange;
use longshore_ndis::{DmaChannel, NdisStatus};
use std::sync::Arc;

/// What a transfer is set up with, and must be completed with.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The pieces of the buffer.
    pub buffer: Arc<[BusRange]>,
    /// Where in it the bytes begin.
    pub offset: u32,
    /// How many they are.
    pub length: u32,
    /// Whether they go to the NIC.
    pub write_to_device: bool,
}

impl Arguments {
    fn segments(&self) -> Segments<'_> {
        Segments::new(&self.buffer)
    }
}

/// What a miniport calls. As it stands it is this project's; whatever overrides one of the calls is there to be caught.
pub trait Layer: Send + Sync {
    /// NdisMSetupDmaTransfer.
    fn set_up(
        &self,
        level: AtMostDispatch<'_>,
        channel: &DmaChannel<Machine>,
        arguments: &Arguments,
    ) -> NdisStatus {
        let Arguments {
            offset,
            length,
            write_to_device,
            ..
        } = *arguments;
        channel.setup_dma_transfer(level, arguments.segments(), offset, length, write_to_device)
    }

    /// NdisMCompleteDmaTransfer.
    fn complete(
        &self,
        level: AtMostDispatch<'_>,
        channel: &DmaChannel<Machine>,
        arguments: &Arguments,
    ) -> NdisStatus {
        let Arguments {
            offset,
            length,
            write_to_device,
            ..
        } = *arguments;
        channel.complete_dma_transfer(level, arguments.segments(), offset, length, write_to_device)
    }

    /// NdisMReadDmaCounter.
    fn read_counter(&self, level: AtMostDispatch<'_>, channel: &DmaChannel<Machine>) -> u32 {
        channel.read_counter(level)
    }
}

/// The NDIS of this project.
pub struct RealLayer;

impl Layer for RealLayer {}
