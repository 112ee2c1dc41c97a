use super::*;
use proptest::prelude::*;

#[test]
fn defaults_are_within_their_bounds() {
    assert_eq!(Limits::default().validate(), Ok(()));
    assert_eq!(Timeout::new(Timeout::default().duration()), Ok(Timeout::default()));
}

#[test]
fn every_field_has_both_bounds() {
    let default = Limits::default();
    for (field, limits) in [
        ("cpus", Limits { nano_cpus: 0, ..default }),
        ("cpus", Limits { nano_cpus: u64::MAX, ..default }),
        ("memory_bytes", Limits { memory_bytes: 0, ..default }),
        ("memory_bytes", Limits { memory_bytes: u64::MAX, ..default }),
        ("pids", Limits { pids: 0, ..default }),
        ("pids", Limits { pids: u32::MAX, ..default }),
        ("scratch_bytes", Limits { scratch_bytes: 0, ..default }),
        ("scratch_bytes", Limits { scratch_bytes: u64::MAX, ..default }),
        ("disk_bytes", Limits { disk_bytes: MIN_DISK_BYTES - 1, ..default }),
        ("disk_bytes", Limits { disk_bytes: u64::MAX, ..default }),
        ("file_count", Limits { file_count: 0, ..default }),
        ("file_count", Limits { file_count: u32::MAX, ..default }),
        ("output_bytes", Limits { output_bytes: 0, ..default }),
        ("output_bytes", Limits { output_bytes: u64::MAX, ..default }),
    ] {
        let error = limits.validate().unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
        assert!(error.hint().unwrap().contains(field));
    }
}

#[test]
fn an_error_names_field_value_bound_and_fix() {
    let error = Limits { memory_bytes: 4 * MIB, ..Limits::default() }.validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory_bytes: 4 MiB (4194304 bytes) is too little, the least is 16 MiB (16777216 bytes)"
    );
}

#[test]
fn files_take_at_most_half_of_the_memory() {
    let limits = Limits { memory_bytes: 64 * MIB, ..Limits::default() };
    let error = limits.validate().unwrap_err();
    assert!(error.to_string().contains("128 MiB") && error.to_string().contains("64 MiB"));
    assert!(error.hint().unwrap().contains("256 MiB"));
    assert_eq!(limits.with_fitting_scratch().validate(), Ok(()));
    assert_eq!(limits.with_fitting_scratch().scratch_bytes, 32 * MIB);
}

#[test]
fn json_has_cpus_as_a_number() {
    let json = serde_json::to_value(Limits::default()).unwrap();
    assert_eq!(json["cpus"].to_string(), "1");
    assert_eq!(json["memory_bytes"], 536_870_912);
    let limits: Limits = serde_json::from_str(r#"{"cpus": 0.1}"#).unwrap();
    assert_eq!(limits, Limits { nano_cpus: 100_000_000, ..Limits::default() });
    assert_eq!(serde_json::from_str::<Limits>(r#"{"cpus": 2}"#).unwrap().nano_cpus, 2_000_000_000);
}

#[test]
fn what_older_nodes_do_not_know_is_left_out_while_it_has_its_default() {
    let json = serde_json::to_value(Limits::default()).unwrap();
    assert!(json.get("disk_bytes").is_none() && json.get("file_count").is_none(), "{json}");
    let limits = Limits { disk_bytes: MIN_DISK_BYTES, file_count: 5, ..Limits::default() };
    let json = serde_json::to_value(limits).unwrap();
    assert_eq!((&json["disk_bytes"], &json["file_count"]), (&MIN_DISK_BYTES.into(), &5.into()));
}

#[test]
fn json_out_of_bounds_is_refused() {
    for json in [
        r#"{"cpus": 0}"#,
        r#"{"cpus": -1}"#,
        r#"{"cpus": 1e300}"#,
        r#"{"memory": 1}"#,
        r#"{"memory_bytes": 1}"#,
        r#"{"disk_bytes": 1}"#,
        r#"{"memory_bytes": 67108864, "scratch_bytes": 67108864}"#,
    ] {
        assert!(serde_json::from_str::<Limits>(json).is_err(), "{json}");
    }
    let small: Limits = serde_json::from_str(r#"{"memory_bytes": 67108864}"#).unwrap();
    assert_eq!(small.scratch_bytes, 32 * MIB);
}

#[test]
fn a_timeout_is_bounded() {
    assert!(Timeout::new(Duration::from_millis(100)).is_ok());
    assert!(Timeout::new(Duration::from_secs(86_400)).is_ok());
    let error = Timeout::new(Duration::from_millis(99)).unwrap_err();
    assert_eq!(error.to_string(), "timeout_secs: 99 ms is too little, the least is 100 ms");
    let error = Timeout::new(Duration::from_secs(86_460)).unwrap_err();
    assert_eq!(error.to_string(), "timeout_secs: 24 h 1 min is too much, the most is 24 h");
}

#[test]
fn a_timeout_is_seconds_in_json() {
    assert_eq!(serde_json::to_string(&Timeout::default()).unwrap(), "300");
    let parsed: Timeout = serde_json::from_str("0.1").unwrap();
    assert_eq!(parsed.as_millis(), 100);
    for json in ["0", "-1", "1e300", "\"5\""] {
        assert!(serde_json::from_str::<Timeout>(json).is_err(), "{json}");
    }
    assert!(matches!(Timeout::try_from(f64::NAN), Err(LimitsError::NotANumber { .. })));
}

proptest! {
    #[test]
    fn valid_limits_survive_json(
        nano_cpus in MIN_NANO_CPUS..=MAX_NANO_CPUS,
        memory_bytes in MIN_MEMORY_BYTES..=MAX_MEMORY_BYTES,
        pids in MIN_PIDS..=MAX_PIDS,
        output_bytes in MIN_OUTPUT_BYTES..=MAX_OUTPUT_BYTES,
        disk_bytes in prop_oneof![Just(0), MIN_DISK_BYTES..=MAX_DISK_BYTES],
        file_count in 1..=MAX_FILE_COUNT,
    ) {
        let scratch_bytes = memory_bytes / 2;
        let limits = Limits {
            nano_cpus, memory_bytes, pids, scratch_bytes, disk_bytes, file_count, output_bytes,
        };
        let json = serde_json::to_string(&limits).unwrap();
        prop_assert_eq!(serde_json::from_str::<Limits>(&json).unwrap(), limits);
    }

    #[test]
    fn timeouts_survive_json(millis in 100_u64..=86_400_000) {
        let timeout = Timeout::new(Duration::from_millis(millis)).unwrap();
        let json = serde_json::to_string(&timeout).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timeout>(&json).unwrap(), timeout);
    }

    #[test]
    fn any_limits_are_checked(nano_cpus: u64, memory_bytes: u64, pids: u32, scratch_bytes: u64) {
        let limits =
            Limits { nano_cpus, memory_bytes, pids, scratch_bytes, ..Limits::default() };
        let _ = limits.validate().map_err(|error| error.hint());
        let _ = limits.with_fitting_scratch().validate();
    }

    #[test]
    fn any_number_is_a_timeout_or_refused(seconds in any::<f64>()) {
        let _ = Timeout::try_from(seconds);
    }
}

#[test]
fn a_machine_keeps_a_part_of_its_memory_and_scripts_have_some() {
    const GIB: u64 = 1 << 30;
    assert_eq!(memory_for_scripts(100 * GIB), 90 * GIB);
    assert_eq!(memory_for_scripts(4 * GIB), 4 * GIB - RESERVE);
    assert_eq!(memory_for_scripts(GIB / 2), GIB / 4);
}
