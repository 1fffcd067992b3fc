//! A real Linux machine: threads as CPUs.
