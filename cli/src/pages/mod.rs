//! The five pages that the project began with, acted out on both machines.
//!
//! * [`stage`]: the two machines behind one trait;
//! * [`timeline`]: a run of the dry dock as a few lines;
//! * [`netdma`]: what pages 003 and 004 have in common;
//! * [`system`]: what pages 000 to 002 have in common;
//! * one module for each page.
//!
//! What a line says was observed by running it, never taken from the page.

mod aborting;
mod completing;
mod miniport;
mod netdma;
mod routine;
mod stage;
mod status;
mod system;
mod timeline;

pub(crate) use stage::Trouble;

/// A page.
pub(crate) struct Page {
    /// Its number.
    pub(crate) number: &'static str,
    /// What it is about, in a word or two.
    pub(crate) name: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    observe: fn() -> Result<Observation, Trouble>,
    play: fn() -> Result<Play, Trouble>,
}

/// What was seen of a page on both machines.
struct Observation {
    observed: String,
    /// What is not as the page says.
    wrong: Vec<String>,
}

/// A page acted out for a reader.
pub(crate) struct Play {
    /// What was done, and what memory and status showed.
    pub(crate) lines: Vec<String>,
    /// What the timeline shows.
    pub(crate) heading: &'static str,
    /// What happened when, where and at which level.
    pub(crate) timeline: Vec<String>,
}

/// Every page, in order.
pub(crate) const PAGES: [Page; 5] = [
    status::PAGE,
    routine::PAGE,
    miniport::PAGE,
    completing::PAGE,
    aborting::PAGE,
];

/// The page with this number.
pub(crate) fn find(number: &str) -> Option<&'static Page> {
    const ALL: &[Page] = &PAGES;
    ALL.iter().find(|page| page.number == number)
}

impl Page {
    /// Runs the page on both machines. Says in one line what was observed, and whether that is what the page says.
    pub(crate) fn observe(&self) -> (String, bool) {
        match (self.observe)() {
            Ok(seen) if seen.wrong.is_empty() => (seen.observed, true),
            Ok(seen) => (
                format!(
                    "{} -- NOT AS THE PAGE SAYS: {}",
                    seen.observed,
                    seen.wrong.join("; ")
                ),
                false,
            ),
            Err(trouble) => (format!("NOT OBSERVED: {trouble}"), false),
        }
    }

    /// Acts the page out in the dry dock.
    pub(crate) fn play(&self) -> Result<Play, Trouble> {
        (self.play)()
    }
}
