//! A toy machine: RAM, a disk that reads a sector by DMA, and the 8237A between them. It takes the model and nothing
//! else of the house.

use longshore_models::Step;
use longshore_models::i8237::{Bus, Cycle, I8237, Requester};

struct Ram(Vec<u8>);

impl Bus for Ram {
    fn read(&mut self, address: u32, bytes: &mut [u8]) {
        let from = address as usize;
        bytes.copy_from_slice(&self.0[from..from + bytes.len()]);
    }

    fn write(&mut self, address: u32, bytes: &[u8]) {
        let to = address as usize;
        self.0[to..to + bytes.len()].copy_from_slice(bytes);
    }
}

/// Sits on channel 2 and gives bytes that count up, until the controller says that it was enough.
struct Disk {
    next: u8,
    reading: bool,
}

impl Requester for Disk {
    fn dreq(&mut self, channel: u8) -> bool {
        channel == 2 && self.reading
    }

    fn give(&mut self, cycle: Cycle) -> u16 {
        self.reading = !cycle.terminal;
        let byte = self.next;
        self.next = byte.wrapping_add(1);
        byte.into()
    }

    fn take(&mut self, _: Cycle, _: u16) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut ram = Ram(vec![0; 16 << 20]); // all that 24 address bits reach
    let mut disk = Disk {
        next: 0,
        reading: true,
    };
    let mut dma = I8237::new();
    // The firmware passes controller 1 on through channel 4; the driver reads one sector to 0x2fe00.
    let writes: [u16; 22] = [
        0xd6, 0xc0, 0xd4, 0x00, 0x0a, 0x06, 0x0c, 0x00, 0x0b, 0x46, 0x04, 0x00, 0x04, 0xfe, 0x81, 0x02, 0x05,
        0xff, 0x05, 0x01, 0x0a, 0x02,
    ];
    for write in writes.chunks(2) {
        dma.write(write[0], write[1] as u8)?;
    }
    while dma.step(&mut ram, &mut disk) == Step::Worked {}

    let sector = &ram.0[0x2_fe00..0x3_0000];
    assert!(sector.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    assert_eq!(dma.read(0x08)? & 0x04, 0x04, "channel 2 said TC");
    println!("512 bytes by DMA, then TC");
    Ok(())
}
