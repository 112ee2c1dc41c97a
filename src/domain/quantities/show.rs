//! Sizes and times in messages, rounded down, so that nothing looks larger than it is.

use std::time::Duration;

/// Size for people: `0 B`, `512 B`, `1.5 KiB`, `256 MiB`. Rounded down to one digit after
/// the point.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{} {unit}", tenths(bytes, size)),
        None => format!("{bytes} B"),
    }
}

/// Time for people: `412 ms`, `1.3 s`, `5 min`, `5 min 30 s`, `1 h 30 min`. Rounded down.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let micros = duration.subsec_micros();
    match seconds {
        0 if micros == 0 => "0 ms".to_owned(),
        0 if micros < 1_000 => format!("{micros} µs"),
        0 => format!("{} ms", micros / 1_000),
        1..60 => format!("{} s", tenths(seconds * 1_000_000 + u64::from(micros), 1_000_000)),
        60..3_600 => two_units(seconds / 60, "min", seconds % 60, "s"),
        _ => two_units(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
    }
}

/// `value / unit` with one digit after the point, unless it is 0.
fn tenths(value: u64, unit: u64) -> String {
    let (whole, tenth) = (value / unit, u128::from(value % unit) * 10 / u128::from(unit));
    if tenth == 0 { whole.to_string() } else { format!("{whole}.{tenth}") }
}

fn two_units(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}
