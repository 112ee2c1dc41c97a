use super::*;
use gantry_init::message::{
    DiskEnd, MAX_UNLISTED_ARTIFACTS, OverDisk, Place, SkipReason, SkippedArtifact, Usage,
};

fn exit(end: End) -> Exit {
    Exit {
        end,
        stopped: None,
        duration_us: 1,
        stdout_bytes: 0,
        stderr_bytes: 0,
        usage: Usage::default(),
        output_file: None,
        artifacts_skipped: Vec::new(),
        artifacts_unlisted: 0,
        artifacts_sent: 0,
        places: Vec::new(),
        disk: None,
        stood_by: None,
    }
}

fn status_of(ending: Exit) -> (Status, Option<ErrorKind>, Option<i32>, Option<i32>) {
    let outcome = classify(&Ending::Reported(ending));
    (outcome.status, outcome.error_kind, outcome.exit_code, outcome.signal)
}

#[test]
fn code_zero_is_success_and_others_are_not() {
    assert_eq!(status_of(exit(End::Code(0))), (Status::Completed, None, Some(0), None));
    let failed = (Status::Failed, Some(ErrorKind::ExitNonzero), Some(3), None);
    assert_eq!(status_of(exit(End::Code(3))), failed);
}

#[test]
fn a_signal_is_exit_code_minus_one() {
    let killed = (Status::Failed, Some(ErrorKind::KilledBySignal), Some(-1), Some(11));
    assert_eq!(status_of(exit(End::Signal(11))), killed);
}

#[test]
fn out_of_memory_needs_a_failure() {
    let oom = |end| Exit { usage: Usage { oom_kills: 1, ..Usage::default() }, ..exit(end) };
    assert_eq!(status_of(oom(End::Signal(9))).1, Some(ErrorKind::OutOfMemory));
    assert_eq!(status_of(oom(End::Code(1))).1, Some(ErrorKind::OutOfMemory));
    assert_eq!(status_of(oom(End::Code(0))).0, Status::Completed);
}

#[test]
fn who_stopped_it_counts_more_than_how_it_ended() {
    for end in [End::Code(0), End::Code(1), End::Signal(9), End::Signal(15)] {
        let deadline = Exit { stopped: Some(Stopped::Deadline), ..exit(end) };
        assert_eq!(status_of(deadline).0, Status::Timeout);
        let cancelled = Exit { stopped: Some(Stopped::Cancelled), ..exit(end) };
        assert_eq!(status_of(cancelled).0, Status::Cancelled);
    }
}

#[test]
fn what_nobody_has_cancelled_is_not_cancelled() {
    let stopped = Exit { stopped: Some(Stopped::Cancelled), ..exit(End::Signal(15)) };
    let outcome = classify(&Ending::StoppedFromOutside(stopped));
    assert_eq!((outcome.status, outcome.error_kind), (Status::Failed, Some(ErrorKind::Lost)));
    assert_eq!((outcome.exit_code, outcome.signal), (Some(-1), Some(15)));
}

#[test]
fn a_missing_output_file_is_invalid_output_only_after_success() {
    let missing = |end| Exit { output_file: Some(OutputFileEnd::Missing), ..exit(end) };
    assert_eq!(status_of(missing(End::Code(0))).1, Some(ErrorKind::InvalidOutput));
    assert_eq!(status_of(missing(End::Code(1))).1, Some(ErrorKind::ExitNonzero));
}

#[test]
fn a_sandbox_that_vanished_is_lost_unless_its_memory_was_used_up() {
    let vanished = |out_of_memory| {
        let ending = Ending::Vanished { exit_code: Some(137), out_of_memory };
        classify(&ending).error_kind
    };
    assert_eq!(vanished(false), Some(ErrorKind::Lost));
    assert_eq!(vanished(true), Some(ErrorKind::OutOfMemory));
}

#[test]
fn what_can_not_be_executed_has_the_codes_of_a_shell() {
    let refused =
        |reason| classify(&Ending::Refused(Refused { reason, detail: "x".into() })).exit_code;
    assert_eq!(refused(RefusedReason::NotFound), Some(127));
    assert_eq!(refused(RefusedReason::NotExecutable), Some(126));
    assert_eq!(refused(RefusedReason::Spawn), None);
}

/// A script that left these, and some more.
fn with_unkept(end: End, names: &[(&str, SkipReason)], more: u64) -> Exit {
    let skipped = names.iter().map(|(name, reason)| {
        let name = (*name).to_owned();
        SkippedArtifact { name, reason: *reason }
    });
    Exit { artifacts_skipped: skipped.collect(), artifacts_unlisted: more, ..exit(end) }
}

fn message_of(exit: Exit) -> String {
    classify(&Ending::Reported(exit)).error_message.unwrap()
}

#[test]
fn files_that_are_not_kept_are_no_success() {
    let one = with_unkept(End::Code(0), &[("a\\b", SkipReason::Name)], 0);
    let refused = (Status::Failed, Some(ErrorKind::OutputsRefused), Some(0), None);
    assert_eq!(status_of(one.clone()), refused);
    let said = message_of(one);
    assert!(said.starts_with("1 file in /work/out was not kept: a\\b (forbidden name)\nhint: "));
    assert!(said.contains("1,024 bytes"), "{said}");
    let names = ["1", "2", "3", "4", "5", "6"].map(|name| (name, SkipReason::TooMany));
    let said = message_of(with_unkept(End::Code(0), &names, 44));
    assert!(said.starts_with("50 files in /work/out were not kept: 1 (too many artifacts), "));
    assert!(
        said.contains("5 (too many artifacts), 45 more\nhint: raise limits.file_count"),
        "{said}"
    );
    let said = message_of(with_unkept(End::Code(0), &names, MAX_UNLISTED_ARTIFACTS));
    assert!(said.starts_with("at least 1000006 files"), "{said}");
}

#[test]
fn a_script_that_failed_says_what_it_lost_beside_why() {
    let names = [("large", SkipReason::TooLarge), ("link", SkipReason::Unreadable)];
    let failed = with_unkept(End::Code(3), &names, 0);
    assert_eq!(status_of(failed.clone()).1, Some(ErrorKind::ExitNonzero));
    let said = message_of(failed);
    assert!(said.starts_with("the script exited with code 3\n2 files in /work/out"), "{said}");
    assert!(
        said.contains("64 MiB") && said.contains("disk_bytes") && said.contains("regular files"),
        "{said}"
    );
    let late = Exit { stopped: Some(Stopped::Deadline), ..with_unkept(End::Code(0), &names, 0) };
    assert_eq!(status_of(late.clone()).0, Status::Timeout);
    assert!(message_of(late).contains("\n2 files in /work/out were not kept"));
}

fn with_place(end: End, path: &str, was_full: bool, is_full: bool) -> Exit {
    let place = Place { path: path.to_owned(), bytes: 128 << 20, was_full, is_full };
    Exit { places: vec![place], ..exit(end) }
}

#[test]
fn a_full_place_that_a_script_failed_for_is_named_with_its_size() {
    for (path, hint) in
        [("/work", "limits.scratch_bytes"), ("/tmp", "TMPDIR=/work"), ("/dev/shm", "workers")]
    {
        let full = with_place(End::Code(1), path, true, false);
        let out_of_disk = (Status::Failed, Some(ErrorKind::OutOfDisk), Some(1), None);
        assert_eq!(status_of(full.clone()), out_of_disk);
        let said = message_of(full);
        assert!(said.contains(&format!("{path} (128 MiB) was full")), "{said}");
        assert!(said.contains("hint: ") && said.contains(hint), "{said}");
        let had_room = with_place(End::Code(1), path, false, false);
        assert_eq!(status_of(had_room).1, Some(ErrorKind::ExitNonzero));
    }
}

#[test]
fn what_is_left_in_a_full_place_is_not_taken_for_whole() {
    let left = Exit { artifacts_sent: 1, ..with_place(End::Code(0), "/work", true, true) };
    assert_eq!(status_of(left.clone()).1, Some(ErrorKind::OutOfDisk));
    assert_eq!(status_of(left.clone()).2, Some(0));
    assert!(message_of(left.clone()).contains("/work (128 MiB) was full when the script ended"));
    // It fills a place that nothing is read from, or has made room again.
    assert_eq!(status_of(Exit { artifacts_sent: 0, ..left.clone() }).0, Status::Completed);
    let again = Exit { artifacts_sent: 1, ..with_place(End::Code(0), "/work", true, false) };
    assert_eq!(status_of(again).0, Status::Completed);
    let other = Exit { artifacts_sent: 1, ..with_place(End::Code(0), "/tmp", true, true) };
    assert_eq!(status_of(other).0, Status::Completed);
}

#[test]
fn a_bus_error_says_which_room_there_is() {
    let said = message_of(with_place(End::Signal(7), "/dev/shm", false, false));
    assert!(said.contains("SIGBUS") && said.contains("/dev/shm (128 MiB)"), "{said}");
    assert!(said.contains("hint: ") && said.contains("scratch_bytes"), "{said}");
    let said = message_of(with_place(End::Signal(7), "/work", true, false));
    assert!(said.contains("/work (128 MiB) was full"), "{said}");
    assert!(!message_of(with_place(End::Signal(11), "/work", true, true)).contains("/work"));
}

#[test]
fn a_new_kind_has_one_beside_it_that_every_server_knows() {
    const FIRST: [&str; 8] = [
        "exit_nonzero",
        "killed_by_signal",
        "out_of_memory",
        "invalid_output",
        "environment_failed",
        "sandbox_failed",
        "engine_unavailable",
        "lost",
    ];
    for kind in ErrorKind::ALL {
        assert_eq!(ErrorKind::from_name(kind.name()), Some(kind));
        assert!(FIRST.contains(&kind.known_to_all().name()), "{kind:?}");
    }
}

/// A script that had this on disk.
fn on_disk(end: End, over: Option<OverDisk>) -> Exit {
    let disk = DiskEnd { limit_bytes: 16 << 20, peak_bytes: 20 << 20, over };
    Exit { disk: Some(disk), ..exit(end) }
}

#[test]
fn too_much_on_disk_is_out_of_disk_however_it_ended() {
    for (over, said) in [
        (OverDisk::Bytes(20 << 20), "20 MiB of 16 MiB\nhint: raise limits.disk_bytes"),
        (OverDisk::Files(1_000_001), "1000001 files"),
        (OverDisk::Depth, "deeper than 256"),
    ] {
        for end in [End::Code(0), End::Code(3)] {
            let over = on_disk(end, Some(over));
            assert_eq!(status_of(over.clone()).1, Some(ErrorKind::OutOfDisk));
            assert!(message_of(over).contains(said), "{said}");
        }
        let stopped = on_disk(End::Signal(15), Some(over));
        let stopped = Exit { stopped: Some(Stopped::Disk), ..stopped };
        assert_eq!(status_of(stopped.clone()).1, Some(ErrorKind::OutOfDisk));
        assert!(message_of(stopped).starts_with("the script was stopped: "));
    }
    assert_eq!(status_of(on_disk(End::Code(0), None)).0, Status::Completed);
}

#[test]
fn the_servers_own_disk_is_not_the_scripts_to_raise() {
    let full = with_place(End::Code(1), "/work", true, true);
    let said = message_of(Exit { disk: on_disk(End::Code(1), None).disk, ..full });
    assert!(said.contains("the server's disk") && !said.contains("scratch_bytes"), "{said}");
}
