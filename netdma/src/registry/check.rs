//! What must hold of a provider before it is let in.
//!
//! One place for providers in Rust and for those behind a C table, where a handler that is missing is a NULL.

use crate::provider::{AllocateError, Attributes, Characteristics, Handlers, ProviderFlags};
use crate::version::Version;
use core::fmt;
use longshore_core::{NtStatus, Rule};

/// More channels than any engine has. The affinity call lists them all, so there must be a bound.
pub const MOST_CHANNELS: u32 = 4096;

/// Why a provider was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// Its version is above that of the interface, or below 1.0 (AMB-19).
    Version,
    /// A handler is missing, or half a pair (NETDMA-021).
    Handlers,
    /// It claims what its version does not have.
    Flags,
    /// It has no name, though its version asks for one.
    Name,
    /// It claims more channels than can be listed.
    Channels,
    /// It did not take the CPUs of its channels.
    Affinity(AllocateError),
}

impl RegisterError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Version | Self::Handlers | Self::Flags | Self::Name => NtStatus::UNSUCCESSFUL,
            Self::Channels => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Affinity(error) => error.status(),
        }
    }

    /// The rule that was broken.
    pub const fn rule(self) -> Rule {
        match self {
            Self::Version => Rule("NETDMA-016"),
            Self::Handlers => Rule("NETDMA-021"),
            Self::Flags | Self::Name => Rule("NETDMA-020"),
            Self::Channels | Self::Affinity(_) => Rule("NETDMA-030"),
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the provider's version is not one of this interface",
            Self::Handlers => "a handler is missing, or half a pair",
            Self::Flags => "a flag does not belong to the provider's version",
            Self::Name => "a provider of version 2.0 or later needs a name",
            Self::Channels => "more channels than can be listed",
            Self::Affinity(_) => "the provider did not take the CPUs of its channels",
        })
    }
}

impl core::error::Error for RegisterError {}

/// Whether a provider can be registered at an interface of this version. `messages`: the computer has message
/// interrupts, so the provider must hear where they are to arrive (NETDMA-031, AMB-18).
pub fn characteristics(
    told: &Characteristics,
    interface: Version,
    messages: bool,
) -> Result<(), RegisterError> {
    if told.version < Version::V1_0 || told.version > interface {
        return Err(RegisterError::Version);
    }
    if !told.handlers.complete() || (messages && !told.handlers.contains(Handlers::AFFINITY)) {
        return Err(RegisterError::Handlers);
    }
    if !flags_of(told.version).contains(told.flags) {
        return Err(RegisterError::Flags);
    }
    if told.version >= Version::V2_0 && told.friendly_name.as_deref().is_none_or(str::is_empty) {
        return Err(RegisterError::Name);
    }
    if told.max_channels > MOST_CHANNELS {
        return Err(RegisterError::Channels);
    }
    Ok(())
}

const fn flags_of(version: Version) -> ProviderFlags {
    match (version.major, version.minor) {
        (..2, _) => ProviderFlags::empty(),
        (2, 0) => ProviderFlags::DCA,
        _ => ProviderFlags::all(),
    }
}

/// Whether a provider that registered with `told` can start with `attributes` (NETDMA-023).
pub const fn attributes(told: &Characteristics, attributes: &Attributes) -> bool {
    attributes.channels <= told.max_channels && attributes.maximum_transfer_size >= Attributes::LEAST_TRANSFER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(version: Version) -> Characteristics {
        Characteristics {
            version,
            flags: ProviderFlags::empty(),
            handlers: Handlers::MANDATORY,
            max_channels: 2,
            friendly_name: (version >= Version::V2_0).then(|| "test".into()),
        }
    }

    fn check(told: Characteristics) -> Result<(), RegisterError> {
        characteristics(&told, Version::V2_1, false)
    }

    /// Proves: NETDMA-003, NETDMA-021.
    #[test]
    fn every_set_of_handlers_is_judged_as_the_contract_says() {
        for bits in 0..=Handlers::all().bits() {
            let handlers = Handlers::from_bits_truncate(bits);
            let told = Characteristics {
                handlers,
                ..good(Version::V1_0)
            };
            let has = |one| handlers.contains(one);
            let mandatory = has(Handlers::ALLOCATE)
                && has(Handlers::FREE)
                && has(Handlers::START)
                && has(Handlers::APPEND);
            let pair = has(Handlers::SUSPEND) == has(Handlers::RESUME);
            let expected = if mandatory && pair {
                Ok(())
            } else {
                Err(RegisterError::Handlers)
            };
            assert_eq!(check(told), expected, "{handlers:?}");
        }
        assert_eq!(RegisterError::Handlers.status(), NtStatus::UNSUCCESSFUL);
    }

    /// Proves: NETDMA-016, AMB-19.
    #[test]
    fn a_version_above_the_interface_is_refused() {
        let all = [Version::V1_0, Version::V1_1, Version::V2_0, Version::V2_1];
        for interface in all {
            for version in all {
                let answer = characteristics(&good(version), interface, false);
                assert_eq!(answer.is_ok(), version <= interface, "{version} at {interface}");
            }
        }
        for odd in [Version::new(0, 9), Version::new(2, 2), Version::new(255, 255)] {
            assert_eq!(check(good(odd)), Err(RegisterError::Version));
        }
        assert_eq!(RegisterError::Version.status(), NtStatus::UNSUCCESSFUL);
    }

    /// Proves: AMB-18.
    #[test]
    fn the_affinity_handler_is_needed_only_where_there_are_messages() {
        let without = good(Version::V2_1);
        let with = Characteristics {
            handlers: Handlers::MANDATORY | Handlers::AFFINITY,
            ..without.clone()
        };
        let judged = |told, messages| characteristics(&told, Version::V2_1, messages);
        assert_eq!(judged(without.clone(), false), Ok(()));
        assert_eq!(judged(without, true), Err(RegisterError::Handlers));
        assert_eq!(judged(with, true), Ok(()));
    }

    #[test]
    fn flags_and_the_name_belong_to_their_versions() {
        let flagged = |version, flags| Characteristics {
            flags,
            ..good(version)
        };
        let (dca, groups) = (ProviderFlags::DCA, ProviderFlags::PROCESSOR_GROUPS);
        for (version, fitting) in [
            (Version::V1_0, ProviderFlags::empty()),
            (Version::V1_1, ProviderFlags::empty()),
            (Version::V2_0, dca),
            (Version::V2_1, dca | groups),
        ] {
            for flags in [dca, groups, ProviderFlags::from_bits_retain(0x4)] {
                let answer = check(flagged(version, flags));
                let expected = fitting.contains(flags);
                assert_eq!(answer.is_ok(), expected, "{version} {flags:?}");
            }
        }
        let nameless = Characteristics {
            friendly_name: None,
            ..good(Version::V2_0)
        };
        assert_eq!(check(nameless), Err(RegisterError::Name));
    }

    #[test]
    fn an_engine_of_countless_channels_is_refused() {
        let vast = Characteristics {
            max_channels: u32::MAX,
            ..good(Version::V1_1)
        };
        assert_eq!(check(vast), Err(RegisterError::Channels));
        assert_eq!(RegisterError::Channels.status(), NtStatus::INSUFFICIENT_RESOURCES);
    }

    /// Proves: NETDMA-023.
    #[test]
    fn attributes_stay_within_what_was_registered() {
        let told = good(Version::V1_1);
        let with = |channels, maximum_transfer_size| {
            let given = Attributes {
                hardware: Version::V1_0,
                vendor: 0x8086,
                channels,
                maximum_transfer_size,
                maximum_address: longshore_hardware::BusAddress::new(u64::MAX),
            };
            attributes(&told, &given)
        };
        assert!(with(2, 4096) && with(1, u32::MAX));
        assert!(!with(3, 4096) && !with(2, 4095));
    }
}
