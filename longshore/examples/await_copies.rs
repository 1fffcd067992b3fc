//! Awaits copies with tokio: two at a time, and one that is given up when its time is over.

use longshore::{DmaChannel, Outcome, WorkerCpu};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = DmaChannel::open(WorkerCpu)?;
    let file = std::fs::read(std::env::current_exe()?)?;
    let file = &file[..file.len().min(8 << 20)];

    let one = channel.copy(channel.buffer_from(file)?, channel.buffer(file.len())?)?;
    let other = channel.copy(channel.buffer_from(b"short")?, channel.buffer(5)?)?;
    let (one, other) = tokio::join!(one, other);
    println!("both copies: {}, {}", one.outcome, other.outcome);
    assert_eq!(
        (one.outcome, other.outcome),
        (Outcome::Completed, Outcome::Completed)
    );
    assert_eq!(one.buffers.destination.to_vec(), file);
    assert_eq!(other.buffers.destination.to_vec(), b"short");

    // Awaited in a select, a copy that loses is dropped: that cancels it.
    let third = channel.copy(one.buffers.destination, one.buffers.source)?;
    tokio::select! {
        biased;
        () = std::future::ready(()) => println!("third copy: given up"),
        done = third => println!("third copy: {}", done.outcome),
    }
    let last = channel
        .copy(other.buffers.destination, other.buffers.source)?
        .await;
    println!("fourth copy: {}", last.outcome);
    assert!(last.outcome.is_completed() && channel.pending() == 0);
    Ok(())
}
