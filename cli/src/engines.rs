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

/// The PCI class of "system peripheral, other", which I/OAT engines say they are, as others do.
const CLASS: &str = "0x088000";

/// The device numbers of I/OAT engines, from the first to the last of each family.
const DEVICES: [(u16, u16); 14] = [
    (0x1a38, 0x1a38),
    (0x360b, 0x360b),
    (0x65ff, 0x65ff),
    (0x402f, 0x402f),
    (0x3429, 0x3433),
    (0x3710, 0x3719),
    (0x3c20, 0x3c2f),
    (0x0e20, 0x0e2f),
    (0x2f20, 0x2f2f),
    (0x6f20, 0x6f2f),
    (0x6f50, 0x6f53),
    (0x0c50, 0x0c53),
    (0x2021, 0x2021),
    (0x0b00, 0x0b00),
];

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
        "looked in {} for vendor {INTEL}, class {CLASS} and the device numbers of I/OAT",
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
    let device = read("device")?;
    let number = u16::from_str_radix(device.strip_prefix("0x")?, 16).ok()?;
    let is_engine = DEVICES
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&number));
    if read("vendor")? != INTEL || read("class")? != CLASS || !is_engine {
        return None;
    }
    let driver = fs::read_link(path.join("driver")).ok();
    let driver = driver
        .as_deref()
        .and_then(Path::file_name)
        .map_or("none".into(), |name| name.to_string_lossy().into_owned());
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
    fn only_functions_that_are_engines_are_told_of() {
        let bus = std::env::temp_dir().join(format!("longshore-bus-{}", std::process::id()));
        let plug = |address: &str, vendor: &str, class: &str, device: &str| {
            let function = bus.join(address);
            fs::create_dir_all(&function).unwrap();
            for (name, value) in [("vendor", vendor), ("class", class), ("device", device)] {
                fs::write(function.join(name), format!("{value}\n")).unwrap();
            }
        };
        plug("0000:00:04.0", INTEL, CLASS, "0x2021");
        plug("0000:00:04.1", INTEL, CLASS, "0x1234");
        plug("0000:00:04.2", "0x1af4", CLASS, "0x2021");
        plug("0000:00:04.3", INTEL, "0x020000", "0x2021");
        let lines = ioat(&bus);
        fs::remove_dir_all(&bus).unwrap();
        assert!(lines[0].starts_with("none found that is bound"), "{lines:?}");
        assert!(lines[1].contains("1 seen"), "{lines:?}");
        assert_eq!(lines[2..], ["0000:00:04.0  device 0x2021, driver none"]);
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
