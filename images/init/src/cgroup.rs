//! Resource usage of the sandbox, read from its own control group (v1 or v2), or from the
//! kernel's counts for reaped children where there is none.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gantry_init::message::Usage;

/// Mount point of control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Most bytes that are read of a file; the largest, `cpu.stat`, has about 300.
const MOST: usize = 4096;

/// Reads one number out of a file's text.
type Parse = fn(&str) -> Option<u64>;

/// The files, open, so that reading them costs one system call each.
pub(crate) struct Meter {
    cpu_us: Option<Gauge>,
    peak_memory: Option<Gauge>,
    oom_kills: Option<Gauge>,
    at_start: Readings,
}

struct Gauge {
    file: File,
    parse: Parse,
}

#[derive(Clone, Copy, Default)]
struct Readings {
    cpu_us: u64,
    oom_kills: u64,
}

impl Meter {
    /// Finds the files.
    pub(crate) fn open() -> Self {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let v2 = v2_directory(&own);
        let v1 = |path: &str| Path::new(ROOT).join(path);
        let first = |candidates: &[(PathBuf, Parse)]| {
            candidates.iter().find_map(|(path, parse)| Gauge::open(path, *parse))
        };
        Self {
            cpu_us: first(&[
                (v1("cpuacct/cpuacct.usage"), nanoseconds as Parse),
                (v1("cpu,cpuacct/cpuacct.usage"), nanoseconds),
                (v2.join("cpu.stat"), |text| field(text, "usage_usec")),
            ]),
            peak_memory: first(&[
                (v1("memory/memory.max_usage_in_bytes"), number as Parse),
                (v2.join("memory.peak"), number),
            ]),
            oom_kills: first(&[
                (v1("memory/memory.oom_control"), oom_kills as Parse),
                (v2.join("memory.events"), oom_kills),
            ]),
            at_start: Readings::default(),
        }
    }

    /// Starts the measurement: usage until now is not the script's.
    pub(crate) fn start(&mut self) {
        self.at_start = self.read();
    }

    /// Usage since [`Meter::start`]. Its processes must have been reaped.
    pub(crate) fn usage(&self) -> Usage {
        let now = self.read();
        let (reaped_cpu_us, largest_bytes) = of_reaped_children();
        let cpu_us = match self.cpu_us {
            Some(_) => now.cpu_us.saturating_sub(self.at_start.cpu_us),
            None => reaped_cpu_us,
        };
        Usage {
            cpu_us,
            peak_memory_bytes: read(self.peak_memory.as_ref()).unwrap_or(largest_bytes),
            oom_kills: now.oom_kills.saturating_sub(self.at_start.oom_kills),
        }
    }

    fn read(&self) -> Readings {
        Readings {
            cpu_us: read(self.cpu_us.as_ref()).unwrap_or_default(),
            oom_kills: read(self.oom_kills.as_ref()).unwrap_or_default(),
        }
    }
}

impl Gauge {
    fn open(path: &Path, parse: Parse) -> Option<Self> {
        Some(Self { file: File::open(path).ok()?, parse })
    }
}

fn read(gauge: Option<&Gauge>) -> Option<u64> {
    let Gauge { file, parse } = gauge?;
    let mut text = [0; MOST];
    let length = file.read_at(&mut text, 0).ok()?;
    parse(std::str::from_utf8(&text[..length]).ok()?)
}

/// CPU time in microseconds, and the memory of the largest in bytes.
fn of_reaped_children() -> (u64, u64) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return (0, 0) };
    let time = microseconds(usage.user_time()) + microseconds(usage.system_time());
    let kibibytes = u64::try_from(usage.max_rss()).unwrap_or_default();
    (time, kibibytes.saturating_mul(1024))
}

fn microseconds(time: TimeVal) -> u64 {
    u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default()
}

/// Our own directory in v2's only hierarchy, out of `/proc/self/cgroup`. It is
/// the root, unless the engine shows us the host's groups: then the root's files
/// count the whole machine.
fn v2_directory(own: &str) -> PathBuf {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let directory = Path::new(ROOT).join(path);
    if directory.is_dir() { directory } else { ROOT.into() }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn nanoseconds(text: &str) -> Option<u64> {
    number(text).map(|nanoseconds| nanoseconds / 1000)
}

fn oom_kills(text: &str) -> Option<u64> {
    field(text, "oom_kill")
}

/// The number after `name` and a space, at a line's start.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| number(line.strip_prefix(name)?.strip_prefix(' ')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_is_read() {
        assert_eq!(nanoseconds("123456789\n"), Some(123_456));
        assert_eq!(number("268435456\n"), Some(268_435_456));
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
    }

    #[test]
    fn v2_is_read() {
        let cpu = "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\nnr_periods 0\n";
        assert_eq!(field(cpu, "usage_usec"), Some(2500));
        let events = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(oom_kills(events), Some(1));
    }

    #[test]
    fn what_is_not_there_is_not_zero() {
        assert_eq!(number("max\n"), None);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\n"), None, "before kernel 4.13");
        assert_eq!(field("", "usage_usec"), None);
    }

    #[test]
    fn a_namespace_of_its_own_is_the_root() {
        assert_eq!(v2_directory("0::/\n"), Path::new(ROOT));
        assert_eq!(v2_directory("12:memory:/docker/1\n"), Path::new(ROOT));
        assert_eq!(v2_directory("0::/not/mounted/here\n"), Path::new(ROOT));
    }

    #[test]
    fn something_is_always_measured() {
        let mut meter = Meter::open();
        meter.start();
        let none = Meter { cpu_us: None, peak_memory: None, oom_kills: None, ..meter };
        assert_eq!(none.usage().oom_kills, 0);
    }
}
