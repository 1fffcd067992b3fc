//! `longshore demo`: the five pages, acted out.

use crate::arguments::Demo;
use crate::console::{Console, Failure, Verdict};
use crate::pages::{self, PAGES, Page};

/// Acts out the pages that were asked for.
pub(crate) fn run(wanted: &Demo, console: &mut Console) -> Result<Verdict, Failure> {
    let mut first = true;
    for page in select(&wanted.pages)? {
        if !std::mem::take(&mut first) {
            console.line("")?;
        }
        show(page, console)?;
    }
    Ok(Verdict::Clean)
}

/// The pages by their numbers, all of them known before the first is shown.
fn select(numbers: &[String]) -> Result<Vec<&'static Page>, Failure> {
    const ALL: &[Page] = &PAGES;
    if numbers.is_empty() {
        return Ok(ALL.iter().collect());
    }
    numbers
        .iter()
        .map(|number| {
            pages::find(number).ok_or_else(|| {
                let known: Vec<_> = ALL.iter().map(|page| page.number).collect();
                Failure::new(format!(
                    "there is no page {number:?}; the pages are {}",
                    known.join(", ")
                ))
            })
        })
        .collect()
}

fn show(page: &Page, console: &mut Console) -> Result<(), Failure> {
    let play = page
        .play()
        .map_err(|trouble| Failure::new(format!("page {} could not be acted out: {trouble}", page.number)))?;
    console.heading(format_args!("{} {}", page.number, page.title))?;
    for line in &play.lines {
        console.line(format_args!("  {line}"))?;
    }
    console.line(format_args!("  timeline ({}):", play.heading))?;
    for line in &play.timeline {
        console.line(line)?;
    }
    Ok(())
}
