//! The engine's state as bytes.

use super::channel::{Channel, Transfer};
use super::{Behaviour, Pdma};
use crate::snapshot::{Header, Reader, Snapshot, SnapshotError};
use alloc::vec::Vec;
use longshore_hardware::pdma::{CHANNELS, Config, Control};

const HEADER: Header = Header {
    tag: *b"pdma",
    version: 1,
};

impl Snapshot for Pdma {
    fn save(&self, into: &mut Vec<u8>) {
        HEADER.save(into);
        for channel in &self.channels {
            into.extend_from_slice(&channel.control.bits().to_le_bytes());
            save_transfer(&channel.next, into);
            save_transfer(&channel.exec, into);
            into.push(u8::from(channel.moving));
        }
        into.push(self.turn as u8);
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = HEADER.open(from)?;
        let mut channels = [Channel::default(); CHANNELS as usize];
        for channel in &mut channels {
            *channel = restore_channel(&mut reader, self.behaviour)?;
        }
        let turn = usize::from(reader.u8()?);
        if turn >= channels.len() {
            return Err(SnapshotError::Impossible("turn"));
        }
        reader.end()?;
        (self.channels, self.turn) = (channels, turn);
        Ok(())
    }
}

fn save_transfer(transfer: &Transfer, into: &mut Vec<u8>) {
    into.extend_from_slice(&transfer.config.raw().to_le_bytes());
    for value in [transfer.bytes, transfer.destination, transfer.source] {
        into.extend_from_slice(&value.to_le_bytes());
    }
}

fn restore_transfer(from: &mut Reader<'_>) -> Result<Transfer, SnapshotError> {
    Ok(Transfer {
        config: Config::from_raw(long(from)?),
        bytes: from.u64()?,
        destination: from.u64()?,
        source: from.u64()?,
    })
}

fn long(from: &mut Reader<'_>) -> Result<u32, SnapshotError> {
    from.bytes().map(u32::from_le_bytes)
}

fn restore_channel(from: &mut Reader<'_>, behaviour: Behaviour) -> Result<Channel, SnapshotError> {
    let channel = Channel {
        control: Control::from_bits_retain(long(from)?),
        next: restore_transfer(from)?,
        exec: restore_transfer(from)?,
        moving: from.bits(1, "flags")? != 0,
    };
    if is_possible(&channel, behaviour) {
        Ok(channel)
    } else {
        Err(SnapshotError::Impossible("control"))
    }
}

fn is_possible(channel: &Channel, behaviour: Behaviour) -> bool {
    let control = channel.control;
    let runs = control.contains(Control::RUN);
    let sane = match behaviour {
        Behaviour::Manual => Control::all().contains(control) && channel.moving == runs,
        Behaviour::Qemu => runs || !channel.moving,
    };
    sane && (control.contains(Control::CLAIM) || !runs) && (channel.exec.bytes != 0 || !channel.moving)
}
