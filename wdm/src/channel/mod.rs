//! Who has a channel: asking for it, being granted it, giving it back.

pub(crate) mod allocation;
pub(crate) mod grants;
mod release;
