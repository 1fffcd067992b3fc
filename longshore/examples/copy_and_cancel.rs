//! Copies a file's worth of memory through a channel, cancels a second copy in flight, and prints how both ended. The
//! engine is the program's own CPU, which works a bounded while in each call: so the second copy is surely under way.

use longshore::{DmaChannel, InlineCpu, Outcome};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = DmaChannel::open(InlineCpu)?;
    let file: Vec<u8> = (0..8 << 20).map(|at| (at % 251) as u8).collect();

    let copy = channel.copy(channel.buffer_from(&file)?, channel.buffer(file.len())?)?;
    let first = copy.wait();
    println!("first copy of {} bytes: {}", file.len(), first.outcome);
    assert_eq!(first.outcome, Outcome::Completed);
    assert_eq!(first.buffers.destination.to_vec(), file);

    let empty = channel.buffer_from(&vec![0xff; file.len()])?;
    let copy = channel.copy(first.buffers.destination, empty)?;
    copy.cancel();
    let second = copy.wait();
    println!("second copy: {}", second.outcome);
    let Outcome::Cancelled { moved, residue } = second.outcome else {
        panic!("it was under way")
    };
    assert!(moved > 0 && moved + residue == file.len() as u64);
    // What was moved is there, and the rest is as before.
    let (begin, end) = (moved as usize, second.buffers.destination.to_vec());
    assert!(end[..begin] == file[..begin] && end[begin..].iter().all(|&byte| byte == 0xff));
    Ok(())
}
