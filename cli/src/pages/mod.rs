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
    /// In the dry dock.
    docked: String,
    /// On threads.
    threaded: String,
    /// What only the dry dock can show.
    besides: Option<String>,
    /// What is not as the page says.
    wrong: Vec<String>,
}

impl Observation {
    fn line(&self) -> String {
        let besides = self
            .besides
            .as_ref()
            .map_or(String::new(), |what| format!("; {what}"));
        let (docked, threaded) = (&self.docked, &self.threaded);
        if docked == threaded {
            format!("{docked}; the same on threads{besides}")
        } else {
            format!("{docked}{besides}; on threads: {threaded}")
        }
    }
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
            Ok(seen) if seen.wrong.is_empty() => (seen.line(), true),
            Ok(seen) => {
                let wrong = seen.wrong.join("; ");
                (format!("{} -- NOT AS THE PAGE SAYS: {wrong}", seen.line()), false)
            }
            Err(trouble) => (format!("NOT OBSERVED: {trouble}"), false),
        }
    }

    /// Acts the page out in the dry dock.
    pub(crate) fn play(&self) -> Result<Play, Trouble> {
        (self.play)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(observe: fn() -> Result<Observation, Trouble>) -> Page {
        Page {
            number: "009",
            name: "a page",
            title: "a page",
            observe,
            play: || Err(Trouble::new()),
        }
    }

    #[test]
    fn every_page_is_as_it_says_on_both_machines() {
        for page in PAGES {
            let (observed, ok) = page.observe();
            assert!(ok, "{} {observed}", page.number);
        }
    }

    #[test]
    fn what_is_not_as_the_page_says_is_told() {
        let (observed, ok) = page(|| {
            Ok(Observation {
                docked: "word = D3|Idle".to_owned(),
                threaded: "word = D4|Idle".to_owned(),
                besides: None,
                wrong: vec!["the page asks for Halted".to_owned()],
            })
        })
        .observe();
        assert!(!ok);
        assert_eq!(
            observed,
            "word = D3|Idle; on threads: word = D4|Idle -- NOT AS THE PAGE SAYS: the page asks for Halted"
        );
    }

    #[test]
    fn what_could_not_be_observed_is_told() {
        let (observed, ok) = page(|| Err("no interrupt came".to_owned())).observe();
        assert_eq!(
            (observed.as_str(), ok),
            ("NOT OBSERVED: no interrupt came", false)
        );
    }
}
