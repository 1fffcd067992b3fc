//! The five pages as a reader sees them.

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{command, longshore};

/// What a reader who knows only the page must find.
const NAMES: [(&str, &str, &[&str]); 5] = [
    (
        "000",
        "000 DMA_COMPLETION_STATUS",
        &[
            "DmaComplete (0)",
            "DmaAborted (1)",
            "DmaError (2)",
            "DmaCancelled (3)",
            "MapTransferEx",
            "CancelMappedTransfer",
            "DmaCompletionRoutine",
        ],
    ),
    (
        "001",
        "001 DMA_COMPLETION_ROUTINE (DmaCompletionRoutine)",
        &[
            "DmaCompletionRoutine",
            "MapTransferEx",
            "CompletionContext 0xfeedf00d",
            "DeviceObject",
            "called once at DISPATCH_LEVEL",
            "DmaComplete",
            "not called, polling finds Completed",
        ],
    ),
    (
        "002",
        "002 NdisMCompleteDmaTransfer",
        &[
            "NdisMSetupDmaTransfer",
            "NdisMRegisterDmaChannel",
            "NDIS_STATUS_SUCCESS",
            "NDIS_STATUS_RESOURCES  12 bytes arrived, NdisMReadDmaCounter: 20 left",
            "WriteToDevice TRUE",
            "WriteToDevice FALSE",
            "SEED-002-8",
            "SEED-002-9",
        ],
    ),
    (
        "003",
        "003 Completing a DMA Transfer",
        &[
            "NET_DMA_STATUS_UPDATE_ON_COMPLETION",
            "NET_DMA_INTERRUPT_ON_COMPLETION",
            "CompletionPhysicalAddress",
            "NetDmaTransferStatusIdle",
            "NetDmaIsr(D2)",
            "neither flag",
            "untouched",
        ],
    ),
    (
        "004",
        "004 DMA_ABORT_HANDLER (ProviderAbortDma)",
        &[
            "ProviderAbortDma is called",
            "D2|NetDmaTransferStatusHalted is written to CompletionPhysicalAddress",
            "ProviderAppendDma returns STATUS_UNSUCCESSFUL",
            "ProviderStartDma returns STATUS_SUCCESS",
            "NetDmaTransferStatusHalted",
        ],
    ),
];

#[test]
fn each_page_is_acted_out_in_its_own_words_and_in_a_moment() {
    for (number, title, names) in NAMES {
        let begun = Instant::now();
        let ran = longshore(&["demo", number]);
        assert!(begun.elapsed() < Duration::from_secs(1), "{number}");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{number}");
        assert!(ran.out.starts_with(title), "{}", ran.out);
        for name in names {
            assert!(
                ran.out.contains(name),
                "{number} does not say {name}:\n{}",
                ran.out
            );
        }
        assert!((10..=25).contains(&ran.lines().len()), "{}", ran.out);
        assert!(ran.out.contains("timeline") && ran.out.contains(" us  cpu 0 PASSIVE"));
    }
}

#[test]
fn without_a_number_all_pages_are_shown_and_the_same_each_time() {
    let all = longshore(&["demo"]);
    for (_, title, _) in NAMES {
        assert!(all.out.contains(title), "{title}");
    }
    let two = longshore(&["demo", "004", "000"]);
    assert!(two.out.starts_with("004") && two.out.contains("\n000 DMA_COMPLETION_STATUS"));
    assert_eq!(longshore(&["demo"]).out, all.out);
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let mut child = command(&["demo"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("000 DMA_COMPLETION_STATUS"), "{first}");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}
