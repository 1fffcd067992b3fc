//! An interrupt line as its source sees it.

/// The line a device pulls. It has a level, not edges: it stays asserted until it is lowered.
///
/// Whoever handles the interrupt is connected elsewhere, by the machine.
pub trait Interrupt: Send + Sync {
    /// Asserts the line. Asserting it again changes nothing.
    fn raise(&self);

    /// Releases the line.
    fn lower(&self);
}
