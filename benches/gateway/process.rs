//! What the operating system says of processes: CPU time and memory.

use std::collections::HashMap;
use std::path::Path;

/// Clock ticks a second in `/proc` (fixed on Linux).
const TICKS: f64 = 100.0;

/// CPU seconds of every live process, by id.
fn all() -> HashMap<u32, (u32, String, f64)> {
    let mut found = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (head, rest) = stat.split_at(stat.rfind(')').unwrap() + 2);
        let name = head.split_once('(').unwrap().1.trim_end_matches([')', ' ']).to_owned();
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks: f64 =
            [11, 12].iter().map(|field: &usize| fields[*field].parse::<f64>().unwrap()).sum();
        found.insert(id, (fields[1].parse().unwrap(), name, ticks / TICKS));
    }
    found
}

/// CPU seconds of one process so far.
pub fn cpu(id: u32) -> f64 {
    all().get(&id).map_or(0.0, |(_, _, seconds)| *seconds)
}

/// CPU seconds of the PostgreSQL cluster so far: the process that listens on `port` and all its children, living and
/// reaped.
pub fn postgres_cpu(port: u16) -> f64 {
    let processes = all();
    let is_ours = |id: &u32| {
        let command = std::fs::read(Path::new("/proc").join(id.to_string()).join("cmdline"))
            .unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(&format!("-p {port} "))
    };
    let parents: Vec<u32> = processes
        .iter()
        .filter(|(id, (_, name, _))| name == "postgres" && is_ours(id))
        .map(|(id, _)| *id)
        .collect();
    let living: f64 = processes
        .iter()
        .filter(|(id, (parent, _, _))| parents.contains(id) || parents.contains(parent))
        .map(|(_, (_, _, seconds))| seconds)
        .sum();
    let reaped: f64 = parents.iter().map(|id| children_cpu(*id)).sum();
    living + reaped
}

fn children_cpu(id: u32) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return 0.0 };
    let rest = &stat[stat.rfind(')').unwrap() + 2..];
    let fields: Vec<&str> = rest.split(' ').collect();
    [13, 14].iter().map(|field: &usize| fields[*field].parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// Resident memory of a process, now and at its highest, in megabytes.
pub fn memory(id: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kilobytes.unwrap_or_default() / 1_024.0
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// The processor and how many cores of it there are.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{}, {cores} cores", model.unwrap_or("unknown"))
}
