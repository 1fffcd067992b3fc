//! A module finds the routines that it calls in the program that loads it, so tests and examples export theirs.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-tests=-rdynamic");
    println!("cargo::rustc-link-arg-examples=-rdynamic");
}
