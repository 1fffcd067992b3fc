//! `longshore engines`: what this machine has.

use crate::console::{Console, Failure, Verdict};
use longshore_engines::cpu::{Config, MAXIMUM_TRANSFER_SIZE};
use longshore_netdma::Version;
use std::fs;
use std::path::Path;

/// Where Linux lists PCI functions.
const PCI: &str = "/sys/bus/pci/devices";

/// The vendor whose engines these are.
const INTEL: &str = "0x8086";

/// The PCI class of "system peripheral, other", which I/OAT engines say they are.
const CLASS: &str = "0x088000";

/// Features that decide how fast a CPU copies.
const FLAGS: [&str; 6] = ["erms", "fsrm", "avx2", "avx512f", "movdir64b", "clwb"];

/// Shows what this machine has.
pub(crate) fn run(console: &mut Console) -> Result<Verdict, Failure> {
    console.heading("cpu")?;
    console.line("  copies with the CPU, in software; always there")?;
    console.line(format_args!(
        "  NetDMA versions    1.x (to {}) and 2.x (to {})",
        Version::V1_1,
        Version::V2_1
    ))?;
    let channels = Config::default().channels;
    console.line(format_args!(
        "  channels           {channels} by default, as many as an engine is opened with"
    ))?;
    console.line(format_args!(
        "  largest transfer   {} KiB for one descriptor",
        MAXIMUM_TRANSFER_SIZE >> 10
    ))?;
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    for line in processor(&text) {
        console.line(format_args!("  {line}"))?;
    }
    console.heading("I/OAT")?;
    for line in ioat(Path::new(PCI)) {
        console.line(format_args!("  {line}"))?;
    }
    Ok(Verdict::Clean)
}

/// What /proc/cpuinfo says: model, count, and the features that matter for copying.
fn processor(text: &str) -> [String; 2] {
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    let count = text
        .lines()
        .filter(|line| {
            line.split(':')
                .next()
                .is_some_and(|key| key.trim() == "processor")
        })
        .count();
    let model = field("model name").unwrap_or("model unknown");
    let has: Vec<_> = field("flags").unwrap_or("").split_whitespace().collect();
    let found: Vec<_> = FLAGS.into_iter().filter(|flag| has.contains(flag)).collect();
    let found = if found.is_empty() {
        "none known".to_owned()
    } else {
        found.join(" ")
    };
    [
        format!("processor          {model}, {} of them", count.max(1)),
        format!("useful features    {found}"),
    ]
}

/// What was found on the PCI bus.
fn ioat(devices: &Path) -> Vec<String> {
    let looked = format!(
        "looked in {} for vendor {INTEL}, class {CLASS}",
        devices.display()
    );
    let Ok(entries) = fs::read_dir(devices) else {
        return vec![
            "none found: this machine shows no PCI bus".to_owned(),
            format!("({looked})"),
        ];
    };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| function(&entry.path()))
        .collect();
    found.sort();
    let bound = found.iter().filter(|line| line.ends_with("vfio-pci")).count();
    let mut lines = vec![match bound {
        0 => "none found that is bound to VFIO".to_owned(),
        bound => format!("{bound} bound to VFIO; this version does not drive them yet"),
    }];
    lines.push(format!("({looked}: {} seen)", found.len()));
    lines.extend(found);
    lines
}

/// One PCI function, if it is an I/OAT engine: its address, device and driver.
fn function(path: &Path) -> Option<String> {
    let read = |name: &str| Some(fs::read_to_string(path.join(name)).ok()?.trim().to_owned());
    let matches = read("vendor")? == INTEL && read("class")? == CLASS;
    if !matches {
        return None;
    }
    let device = read("device").unwrap_or_else(|| "unknown".to_owned());
    let driver = fs::read_link(path.join("driver")).ok();
    let driver = driver
        .as_deref()
        .and_then(Path::file_name)
        .map_or("no driver".into(), |name| name.to_string_lossy().into_owned());
    let address = path.file_name()?.to_string_lossy().into_owned();
    Some(format!("{address}  device {device}, driver {driver}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_bus_is_told_of_and_no_error() {
        let lines = ioat(Path::new("/nonexistent"));
        assert!(lines[0].starts_with("none found"), "{lines:?}");
    }

    #[test]
    fn the_processor_is_read_from_the_kernel_s_own_words() {
        let one = "processor\t: 0\nmodel name\t: Slow CPU\nflags\t\t: fpu erms avx512f\n\n";
        let [model, flags] = processor(&one.repeat(3));
        assert!(model.ends_with("Slow CPU, 3 of them"), "{model}");
        assert!(flags.ends_with("erms avx512f"), "{flags}");
        let [model, flags] = processor("");
        assert!(
            model.contains("unknown") && flags.contains("none"),
            "{model} {flags}"
        );
    }
}
