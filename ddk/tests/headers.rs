//! The headers, as C compilers see them.
#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use support::{compile, compiler, file};

/// Each compiler with its way to say C or C++.
const COMPILERS: [(&str, &[&str]); 4] = [
    ("gcc", &["-std=c11"]),
    ("clang", &["-std=c11"]),
    ("g++", &["-x", "c++", "-std=c++17"]),
    ("clang++", &["-x", "c++", "-std=c++17"]),
];

/// x64, x64 as before Windows 7, and x86, which needs no library.
const PLATFORMS: [&[&str]; 3] = [
    &[],
    &["-DNTDDI_VERSION=NTDDI_VISTASP1"],
    &["-m32", "-ffreestanding"],
];

fn check(source: &str, more: &[&str]) -> Vec<Result<(), String>> {
    let source = file(source);
    let mut results = Vec::new();
    for (name, language) in COMPILERS {
        let Some(compiler) = compiler(name) else { continue };
        for platform in PLATFORMS {
            let arguments = [
                language,
                platform,
                more,
                &["-fsyntax-only", source.to_str().unwrap()],
            ]
            .concat();
            results.push(compile(compiler, &arguments));
        }
    }
    results
}

/// Proves: NETDMA-020, NETDMA-022, NETDMA-040, NETDMA-050, NETDMA-051, NETDMA-060, NETDMA-062, NETDMA-082, NETDMA-111, NETDMA-112, NETDMA-130.
///
/// The asserts are in the C file: every size, offset and value.
#[test]
fn every_compiler_sees_the_documented_layouts_without_a_warning() {
    for result in check("tests/c/layout.c", &[]) {
        result.unwrap();
    }
}

/// The asserts can fail, so the test above says something.
#[test]
fn a_wrong_layout_does_not_compile() {
    for result in check("tests/c/layout.c", &["-fpack-struct=1"]) {
        assert!(result.unwrap_err().contains("assert"));
    }
}
