//! A toy machine: RAM, a disk that reads sectors by DMA, and the 8237A between them. It takes the model and nothing else
//! of the house.

use longshore_hardware::AccessError;
use longshore_models::Step;
use longshore_models::i8237::{Bus, Cycle, I8237, Requester};

const SECTOR: usize = 512;

struct Ram(Vec<u8>);

impl Bus for Ram {
    fn read(&mut self, address: u32, bytes: &mut [u8]) {
        for (byte, at) in bytes.iter_mut().zip(address as usize..) {
            *byte = self.0.get(at).copied().unwrap_or(0xff);
        }
    }

    fn write(&mut self, address: u32, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(address as usize..) {
            if let Some(cell) = self.0.get_mut(at) {
                *cell = *byte;
            }
        }
    }
}

/// Sits on channel 2 and gives its sector until the controller says that it was enough.
struct Disk {
    sector: Vec<u8>,
    position: usize,
    reading: bool,
}

impl Requester for Disk {
    fn dreq(&mut self, channel: u8) -> bool {
        channel == 2 && self.reading
    }

    fn give(&mut self, cycle: Cycle) -> u16 {
        let byte = self.sector.get(self.position).copied().unwrap_or(0xff);
        self.position += 1;
        self.reading = !cycle.terminal && self.position < self.sector.len();
        u16::from(byte)
    }

    fn take(&mut self, _: Cycle, _: u16) {}
}

fn main() -> Result<(), AccessError> {
    let mut ram = Ram(vec![0; 1 << 20]);
    let mut disk = Disk {
        sector: (0..SECTOR).map(|n| n as u8).collect(),
        position: 0,
        reading: false,
    };
    let mut dma = I8237::new();

    // The firmware passes controller 1 on through channel 4; the driver reads one sector to 0x2fe00.
    let firmware = [(0xd6, 0xc0), (0xd4, 0x00)];
    let driver = [
        (0x0a, 0x06),
        (0x0c, 0),
        (0x0b, 0x46),
        (0x04, 0x00),
        (0x04, 0xfe),
        (0x81, 0x02),
    ];
    let count = [(0x05, 0xff), (0x05, 0x01), (0x0a, 0x02)];
    for (port, value) in firmware.into_iter().chain(driver).chain(count) {
        dma.write(port, value)?;
    }
    disk.reading = true;
    while dma.step(&mut ram, &mut disk) == Step::Worked {}

    assert_eq!(ram.0[0x2_fe00..0x3_0000], disk.sector);
    assert_eq!(dma.read(0x08)? & 0x04, 0x04, "channel 2 said TC");
    println!("{SECTOR} bytes by DMA, then TC");
    Ok(())
}
