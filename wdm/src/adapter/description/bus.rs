//! The buses a device may be on.

/// The bus a device is on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[doc(alias = "INTERFACE_TYPE")]
pub struct InterfaceType(pub i32);

impl InterfaceType {
    /// Whatever the device object says.
    #[doc(alias = "InterfaceTypeUndefined")]
    pub const UNDEFINED: Self = Self(-1);
    /// Inside of the computer.
    #[doc(alias = "Internal")]
    pub const INTERNAL: Self = Self(0);
    /// ISA.
    #[doc(alias = "Isa")]
    pub const ISA: Self = Self(1);
    /// EISA.
    #[doc(alias = "Eisa")]
    pub const EISA: Self = Self(2);
    /// MicroChannel.
    #[doc(alias = "MicroChannel")]
    pub const MICRO_CHANNEL: Self = Self(3);
    /// TURBOchannel.
    #[doc(alias = "TurboChannel")]
    pub const TURBO_CHANNEL: Self = Self(4);
    /// PCI.
    #[doc(alias = "PCIBus")]
    pub const PCI: Self = Self(5);
    /// VMEbus.
    #[doc(alias = "VMEBus")]
    pub const VME: Self = Self(6);
    /// NuBus.
    #[doc(alias = "NuBus")]
    pub const NU: Self = Self(7);
    /// PCMCIA.
    #[doc(alias = "PCMCIABus")]
    pub const PCMCIA: Self = Self(8);
    /// CBus.
    #[doc(alias = "CBus")]
    pub const C: Self = Self(9);
    /// MPI.
    #[doc(alias = "MPIBus")]
    pub const MPI: Self = Self(10);
    /// MPSA.
    #[doc(alias = "MPSABus")]
    pub const MPSA: Self = Self(11);
    /// Inside of a processor.
    #[doc(alias = "ProcessorInternal")]
    pub const PROCESSOR_INTERNAL: Self = Self(12);
    /// The internal power bus.
    #[doc(alias = "InternalPowerBus")]
    pub const INTERNAL_POWER: Self = Self(13);
    /// ISA with plug and play.
    #[doc(alias = "PNPISABus")]
    pub const PNP_ISA: Self = Self(14);
    /// Any bus with plug and play.
    #[doc(alias = "PNPBus")]
    pub const PNP: Self = Self(15);
    /// VMCS.
    #[doc(alias = "Vmcs")]
    pub const VMCS: Self = Self(16);
    /// ACPI.
    #[doc(alias = "ACPIBus")]
    pub const ACPI: Self = Self(17);
    /// How many there are.
    #[doc(alias = "MaximumInterfaceType")]
    pub const MAXIMUM: Self = Self(18);
}
