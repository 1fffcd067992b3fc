//! A deterministic machine, faults, oracles, conformance suites and the rules.
