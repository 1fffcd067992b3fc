//! Keeps a thousand tagged copies in flight, cancels half of them, and counts how they ended.

use longshore::{Completion, DmaChannel, Job, Options, WorkerCpu};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel: DmaChannel<_> = Options::new().entries(1001).open(WorkerCpu)?;
    for tag in 0..1000u64 {
        let source = channel.buffer_from(&tag.to_le_bytes().repeat(512))?;
        channel.submit(tag, Job::copy(source, channel.buffer(4096)?))?;
    }
    channel.doorbell()?;
    let asked = channel.cancel_where(|tag| tag % 2 == 1);

    let (mut completed, mut cancelled) = (0, 0);
    let mut room = [Completion::EMPTY; 64];
    while completed + cancelled < 1000 && channel.wait(None) {
        let count = channel.poll(&mut room);
        for done in room[..count]
            .iter_mut()
            .map(|done| std::mem::replace(done, Completion::EMPTY))
        {
            if done.outcome.is_cancelled() {
                assert_eq!(done.tag % 2, 1, "only these were cancelled");
                cancelled += 1;
            } else {
                assert!(done.outcome.is_completed());
                let copied = done.buffers.pair().expect("a copy has two").destination.to_vec();
                assert_eq!(copied, done.tag.to_le_bytes().repeat(512));
                completed += 1;
            }
        }
    }
    println!("{asked} of 500 were still there to be cancelled");
    println!("completed {completed}, cancelled {cancelled}");
    assert!(completed + cancelled == 1000 && completed >= 500 && cancelled == asked);
    Ok(())
}
