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

/// The page's own words, from declaration to definition.
const EXAMPLE: &str = "\
DMA_COMPLETION_ROUTINE MyDmaCompletionRoutine;

_Use_decl_annotations_
VOID
  MyDmaCompletionRoutine(
    PDMA_ADAPTER DmaAdapter,
    PDEVICE_OBJECT DeviceObject,
    PVOID CompletionContext,
    DMA_COMPLETION_STATUS Status
    )
  {
      // Function body
  }
";

/// Proves: NETDMA-020, NETDMA-022, NETDMA-040, NETDMA-050, NETDMA-051, NETDMA-060, NETDMA-062, NETDMA-082, NETDMA-111, NETDMA-112, NETDMA-130.
///
/// The asserts are in the C file: every size, offset and value.
#[test]
fn every_compiler_sees_the_documented_layouts_without_a_warning() {
    for result in check("tests/c/layout.c", &[]) {
        result.unwrap();
    }
}

/// Proves: SEED-000-1, SEED-000-7, SEED-001-13, WDM-001, WDM-031, WDM-035, WDM-037, WDM-039, WDM-040, WDM-041, WDM-042, WDM-043, WDM-044, WDM-045, WDM-049, WDM-050, WDM-071, WDM-072, WDM-073, WDM-074, WDM-077, WDM-078, WDM-079.
///
/// As above, through both doors, with a call of each operation by the arguments of its page.
#[test]
fn every_compiler_sees_the_documented_layouts_of_dma() {
    for door in [&[][..], &["-DTHROUGH_NTIFS"]] {
        for result in check("tests/c/layout_dma.c", door) {
            result.unwrap();
        }
    }
}

/// Proves: SEED-002-2, NDIS-002, NDIS-004, NDIS-020, NDIS-090.
///
/// As above, for a miniport's system DMA.
#[test]
fn every_compiler_sees_the_documented_layouts_of_ndis() {
    for result in check("tests/c/layout_ndis.c", &[]) {
        result.unwrap();
    }
}

/// Proves: SEED-001-12.
#[test]
fn the_page_s_example_compiles_unchanged() {
    let source = std::fs::read_to_string(file("tests/c/example.c")).unwrap();
    assert!(source.ends_with(EXAMPLE), "nothing of it was changed");
    for result in check("tests/c/example.c", &[]) {
        result.unwrap();
    }
}

/// The asserts can fail, so the tests above say something.
#[test]
fn a_wrong_layout_does_not_compile() {
    for source in [
        "tests/c/layout.c",
        "tests/c/layout_dma.c",
        "tests/c/layout_ndis.c",
    ] {
        for result in check(source, &["-fpack-struct=1"]) {
            assert!(result.unwrap_err().contains("assert"));
        }
    }
}
