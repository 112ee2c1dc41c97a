use super::*;
use proptest::prelude::*;

#[test]
fn sizes_are_read_exactly() {
    for (text, bytes) in [
        ("0", 0),
        ("1024", 1024),
        ("1024B", 1024),
        ("256MiB", 256 << 20),
        ("256 mib", 256 << 20),
        ("1GiB", 1 << 30),
        ("64MB", 64_000_000),
        ("1.5GiB", 3 << 29),
        ("0.5KiB", 512),
        ("0.0001KiB", 0),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
}

#[test]
fn what_is_no_size_is_refused() {
    for text in ["", " ", "-1", "+1", "NaN", "inf", "1e3", "1.", ".5", "1..2", "MiB", "1 2", "1XB"]
    {
        assert!(matches!(parse_bytes(text), Err(QuantityError::Bytes(_))), "{text}");
    }
    for text in ["512M", "1g", "8k"] {
        assert!(matches!(parse_bytes(text), Err(QuantityError::AmbiguousBytes(..))), "{text}");
    }
    for text in ["18446744073709551616", "16777216TiB", &"9".repeat(40), "99999999999999999999TiB"]
    {
        assert!(matches!(parse_bytes(text), Err(QuantityError::TooLarge(_))), "{text}");
    }
    let error = parse_bytes("512M").unwrap_err();
    assert_eq!(error.to_string(), "\"512M\" is not a size: M alone could mean MB or MiB");
    assert!(error.hint().unwrap().contains("MiB"));
}

#[test]
fn times_are_read_exactly() {
    for (text, millis) in [
        ("90", 90_000),
        ("0.5", 500),
        ("30s", 30_000),
        ("500ms", 500),
        ("1.5s", 1_500),
        ("5m", 300_000),
        ("5min", 300_000),
        ("1h30m", 5_400_000),
        (" 1h 30m ", 5_400_000),
        ("1d", 86_400_000),
        ("0", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in ["", " ", "-1s", "s", "5M", "1y", "1h30", "1 h", "1h-2m", "NaN", "1,5s", "1e3s"] {
        assert!(matches!(parse_duration(text), Err(QuantityError::Duration(_))), "{text}");
    }
    for text in ["99999999999999999999s", "18446744073709551615d", "20000000000"] {
        assert!(matches!(parse_duration(text), Err(QuantityError::TooLarge(_))), "{text}");
    }
}

#[test]
fn cpus_are_read_exactly() {
    for (text, nanos) in
        [("1", 1_000_000_000), ("0.5", 500_000_000), ("1.25", 1_250_000_000), ("0.01", 10_000_000)]
    {
        assert_eq!(parse_cpus(text), Ok(nanos), "{text}");
    }
    for text in ["0", "0.0", "0.009"] {
        assert!(matches!(parse_cpus(text), Err(QuantityError::TooFewCpus(_))), "{text}");
    }
    for text in ["", "-1", "one", "1cpu", "NaN", "0.1234567891"] {
        assert!(matches!(parse_cpus(text), Err(QuantityError::Cpus(_))), "{text}");
    }
    assert!(matches!(parse_cpus("99999999999999"), Err(QuantityError::TooLarge(_))));
}

#[test]
fn sizes_are_shown_for_people() {
    for (bytes, shown) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (256 << 20, "256 MiB"),
        ((1 << 30) - 1, "1023.9 MiB"),
        (u64::MAX, "16777215.9 TiB"),
    ] {
        assert_eq!(show_bytes(bytes), shown);
    }
}

#[test]
fn times_are_shown_for_people() {
    for (micros, shown) in [
        (0, "0 ms"),
        (412, "412 µs"),
        (412_999, "412 ms"),
        (999_999, "999 ms"),
        (1_300_000, "1.3 s"),
        (30_000_000, "30 s"),
        (59_999_999, "59.9 s"),
        (300_000_000, "5 min"),
        (330_000_000, "5 min 30 s"),
        (5_400_000_000, "1 h 30 min"),
        (86_400_000_000, "24 h"),
    ] {
        assert_eq!(show_duration(Duration::from_micros(micros)), shown);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), digits in "[0-9.]{0,80}[a-zA-Zµ ]{0,4}") {
        for text in [&text, &digits] {
            let _ = (parse_bytes(text), parse_duration(text), parse_cpus(text));
        }
    }

    #[test]
    fn whole_units_are_read_back(value in 1_u64..1024, shift in 0_u32..5) {
        let bytes = value << (10 * shift);
        prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        prop_assert_eq!(parse_bytes(&bytes.to_string()), Ok(bytes));
    }

    #[test]
    fn whole_times_are_read_back(seconds in 0_u64..3_600) {
        let duration = Duration::from_secs(seconds);
        let shown = show_duration(duration).replace(' ', "");
        prop_assert_eq!(parse_duration(&shown), Ok(duration));
    }
}
