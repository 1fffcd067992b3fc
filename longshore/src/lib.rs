//! The facade: move memory, check DMA code.
