//! The pair's state as bytes.

use super::I8237;
use super::channel::Channel;
use super::controller::Controller;
use super::pages::{Pages, is_spare};
use super::quirks::Quirks;
use crate::snapshot::{Header, Reader, Snapshot, SnapshotError};
use alloc::vec::Vec;
use longshore_hardware::i8237::{Command, Mode};

const HEADER: Header = Header {
    tag: *b"8237",
    version: 1,
};

/// Stands for "no channel".
const NOBODY: u8 = 0xff;

impl Snapshot for I8237 {
    fn save(&self, into: &mut Vec<u8>) {
        HEADER.save(into);
        save_controller(&self.first, into);
        save_controller(&self.second, into);
        into.extend_from_slice(&self.pages.low);
        into.extend_from_slice(&self.pages.high);
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = HEADER.open(from)?;
        let first = restore_controller(&self.first, &mut reader, self.quirks)?;
        let second = restore_controller(&self.second, &mut reader, self.quirks)?;
        let pages = restore_pages(&self.pages, &mut reader, self.quirks)?;
        reader.end()?;
        (self.first, self.second, self.pages) = (first, second, pages);
        Ok(())
    }
}

fn save_controller(controller: &Controller, into: &mut Vec<u8>) {
    for channel in &controller.channels {
        for value in [
            channel.base_address,
            channel.base_count,
            channel.address,
            channel.count,
        ] {
            into.extend_from_slice(&value.to_le_bytes());
        }
        into.push(channel.mode.raw());
    }
    into.extend_from_slice(&[
        controller.command.bits(),
        controller.masks,
        controller.requests,
        controller.done,
        controller.temporary,
        controller.dreq,
        controller.first,
        controller.serving.unwrap_or(NOBODY),
        u8::from(controller.flip_flop) | u8::from(controller.holds_byte) << 1,
    ]);
}

/// Reads a controller like `own`, of which only what never changes is used.
fn restore_controller(
    own: &Controller,
    from: &mut Reader<'_>,
    quirks: Quirks,
) -> Result<Controller, SnapshotError> {
    let mut channels = [Channel::default(); 4];
    for (channel, number) in channels.iter_mut().zip(0..) {
        *channel = restore_channel(number, from)?;
    }
    let masks = if quirks.contains(Quirks::EIGHT_MASK_BITS) {
        0xff
    } else {
        0xf
    };
    let mut controller = Controller {
        which: own.which,
        channels,
        command: Command::from_bits_retain(from.u8()?),
        masks: from.bits(masks, "masks")?,
        requests: from.bits(0xf, "requests")?,
        done: from.bits(0xf, "status")?,
        temporary: from.u8()?,
        dreq: from.bits(0xf, "request lines")?,
        first: from.bits(0x3, "priority")?,
        serving: restore_serving(from.u8()?)?,
        flip_flop: false,
        holds_byte: false,
    };
    let flags = from.bits(0x3, "flags")?;
    controller.flip_flop = flags & 1 != 0;
    controller.holds_byte = flags & 2 != 0;
    if controller.holds_byte && !controller.copies_memory() {
        return Err(SnapshotError::Impossible("temporary register"));
    }
    Ok(controller)
}

fn restore_channel(number: u8, from: &mut Reader<'_>) -> Result<Channel, SnapshotError> {
    let channel = Channel {
        base_address: from.u16()?,
        base_count: from.u16()?,
        address: from.u16()?,
        count: from.u16()?,
        mode: Mode::from_raw(from.u8()?),
    };
    if channel.mode.channel() == number {
        Ok(channel)
    } else {
        Err(SnapshotError::Impossible("mode"))
    }
}

fn restore_serving(raw: u8) -> Result<Option<u8>, SnapshotError> {
    match raw {
        0..4 => Ok(Some(raw)),
        NOBODY => Ok(None),
        _ => Err(SnapshotError::Impossible("served channel")),
    }
}

fn restore_pages(own: &Pages, from: &mut Reader<'_>, quirks: Quirks) -> Result<Pages, SnapshotError> {
    let pages = Pages {
        low: from.bytes()?,
        high: from.bytes()?,
        has_high: own.has_high,
    };
    for index in (0..16).filter(|&index| is_spare(index)) {
        if pages.high[index] != 0 || quirks.contains(Quirks::NO_SPARE_PAGES) && pages.low[index] != 0 {
            return Err(SnapshotError::Impossible("spare pages"));
        }
    }
    if !pages.has_high && pages.high != [0; 16] {
        return Err(SnapshotError::Impossible("high pages"));
    }
    Ok(pages)
}
