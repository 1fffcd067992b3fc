//! What a completion cell costs: one operation ended by claim, one ended where others could have, and an empty loop.
//!
//! Run it with `cargo run --release -p longshore-core --example cell_cost`. The three take turns, and the medians of
//! one run are compared, so that whatever else the computer does hits all three alike. Trust the ratios, not the
//! nanoseconds.

#[cfg(not(loom))]
fn main() {
    bench::main();
}

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
mod bench {
    use longshore_core::completion::{Cell, Outcome};
    use std::hint::black_box;
    use std::time::Instant;

    const OPERATIONS: u32 = 1_000_000;
    const ROUNDS: usize = 101;

    /// A ring has many cells; one alone would only show how fast the CPU forwards its own stores.
    const CELLS: usize = 32;

    fn nothing(cell: &Cell) {
        black_box(cell);
    }

    fn ended_by_claim(cell: &Cell) {
        let Ok(ticket) = black_box(cell).begin(&()) else {
            return;
        };
        if let Ok(delivery) = cell.end_owned(ticket, Outcome::COMPLETED, &()) {
            delivery.deliver();
            black_box(cell);
        }
    }

    fn ended_by_race(cell: &Cell) {
        let Ok(ticket) = black_box(cell).begin(&()) else {
            return;
        };
        if let Ok(delivery) = cell.end(ticket, Outcome::COMPLETED, &()) {
            delivery.deliver();
            black_box(cell);
        }
    }

    /// Nanoseconds for one operation.
    fn time(cells: &[Cell; CELLS], operation: impl Fn(&Cell)) -> f64 {
        let start = Instant::now();
        for turn in 0..OPERATIONS as usize {
            operation(&cells[turn % CELLS]);
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS)
    }

    fn median(mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    pub(super) fn main() {
        let cells = [const { Cell::new() }; CELLS];
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            times[0].push(time(&cells, nothing));
            times[1].push(time(&cells, ended_by_claim));
            times[2].push(time(&cells, ended_by_race));
        }
        let [empty, claim, race] = times.map(median);
        println!("a cell is {} bytes", size_of::<Cell>());
        println!("empty loop                    {empty:6.2} ns");
        println!(
            "begin, end_owned, deliver     {claim:6.2} ns, {:5.1} times the empty loop",
            claim / empty
        );
        println!(
            "begin, end, deliver           {race:6.2} ns, {:5.1} times the empty loop",
            race / empty
        );
        println!(
            "end against end_owned, less the loop: {:.1}",
            (race - empty) / (claim - empty)
        );
    }
}
