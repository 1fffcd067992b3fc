//! What one copy of 64 bytes costs, with 32 in flight, beside a bare loop that copies.
//!
//! `cargo run --release -p longshore --example copy_cost`

use longshore::{Buffers, Completion, DmaChannel, Engine, InlineCpu, Job, Pair, WorkerCpu};
use std::hint::black_box;
use std::time::Instant;

const LEN: usize = 64;
const IN_FLIGHT: usize = 32;
const ROUNDS: usize = 50_000;

fn bare() -> f64 {
    let (source, mut destination) = (vec![1u8; LEN * IN_FLIGHT], vec![0u8; LEN * IN_FLIGHT]);
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for (to, from) in destination.chunks_exact_mut(LEN).zip(source.chunks_exact(LEN)) {
            black_box(to).copy_from_slice(black_box(from));
        }
    }
    cost_of_one(begin)
}

fn channel(engine: impl Engine) -> Result<f64, Box<dyn std::error::Error>> {
    let channel = DmaChannel::open(engine)?;
    let mut room = [Completion::EMPTY; IN_FLIGHT];
    for done in &mut room {
        let (source, destination) = (channel.buffer(LEN)?, channel.buffer(LEN)?);
        done.buffers = Buffers::Pair(Pair { source, destination });
    }
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for done in &mut room {
            if let Buffers::Pair(pair) = std::mem::take(&mut done.buffers) {
                channel.submit(1, Job::copy(pair.source, pair.destination))?;
            }
        }
        channel.doorbell()?;
        let mut count = 0;
        while count < IN_FLIGHT {
            count += channel.poll(&mut room[count..]);
        }
    }
    Ok(cost_of_one(begin))
}

fn cost_of_one(begin: Instant) -> f64 {
    begin.elapsed().as_nanos() as f64 / (ROUNDS * IN_FLIGHT) as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..3 {
        println!(
            "bare loop {:.1} ns, inline {:.1} ns, worker {:.1} ns",
            bare(),
            channel(InlineCpu)?,
            channel(WorkerCpu)?
        );
    }
    Ok(())
}
