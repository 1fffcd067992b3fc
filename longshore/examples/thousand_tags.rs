//! Keeps a thousand tagged copies in flight, cancels the later half of them, and counts how they ended. The engine is the
//! program's own CPU, which does a bounded number at the doorbell: so the later half is surely still to be cancelled.

use longshore::{Completion, DmaChannel, InlineCpu, Job, Options};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel: DmaChannel<_> = Options::new().entries(1001).open(InlineCpu)?;
    for tag in 0..1000u64 {
        let source = channel.buffer_from(&tag.to_le_bytes().repeat(512))?;
        channel.submit(tag, Job::copy(source, channel.buffer(4096)?))?;
    }
    channel.doorbell()?;
    let asked = channel.cancel_where(|tag| tag >= 500);

    let (mut completed, mut cancelled) = (0, 0);
    let mut room = [Completion::EMPTY; 64];
    while completed + cancelled < 1000 && channel.wait(None) {
        let count = channel.poll(&mut room);
        for done in room[..count]
            .iter_mut()
            .map(|done| std::mem::replace(done, Completion::EMPTY))
        {
            if done.outcome.is_cancelled() {
                assert!(done.tag >= 500, "only these were cancelled");
                cancelled += 1;
            } else {
                assert!(done.outcome.is_completed());
                let copied = done.buffers.pair().expect("a copy has two").destination.to_vec();
                assert_eq!(copied, done.tag.to_le_bytes().repeat(512));
                completed += 1;
            }
        }
    }
    println!("completed {completed}, cancelled {cancelled} of {asked} that were asked to end");
    assert_eq!((completed, cancelled, asked), (500, 500, 500));
    Ok(())
}
