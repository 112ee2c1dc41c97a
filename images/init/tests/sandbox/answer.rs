//! Answer to one execution, with its frames put together and their order checked.

use std::collections::BTreeMap;

use gantry_init::frame::{Frame, Kind};
use gantry_init::message::{
    ArtifactBegin, DiskUse, End, Exit, Hello, LeftFile, Prepared, Refused, RefusedReason,
    SkipReason, Stopped,
};

/// All frames of init.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) hello: Option<Hello>,
    pub(crate) prepared: Option<Prepared>,
    pub(crate) loaded: bool,
    pub(crate) started: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) output_file: Vec<u8>,
    pub(crate) artifacts: Vec<(String, Vec<u8>)>,
    announced: u64,
    pub(crate) left: Vec<LeftFile>,
    /// Use of the disk, as it was told.
    pub(crate) disk_use: Vec<u64>,
    pub(crate) exit: Option<Exit>,
    pub(crate) refused: Option<Refused>,
    /// PID 1's own.
    pub(crate) exit_code: i32,
}

impl Answer {
    pub(crate) fn add(&mut self, frame: Frame) {
        let Frame { kind, payload } = frame;
        assert!(self.exit.is_none() && self.refused.is_none(), "{kind:?} after the last frame");
        assert_eq!(kind == Kind::Hello, self.hello.is_none(), "{kind:?}: one Hello, and first");
        match kind {
            Kind::Hello => self.hello = Some(parsed(&payload)),
            Kind::Refused => {
                assert!(!self.started);
                self.refused = Some(parsed(&payload));
            }
            Kind::Prepared => {
                assert!(self.prepared.is_none() && !self.loaded);
                self.prepared = Some(parsed(&payload));
            }
            Kind::Loaded => {
                assert!(!self.loaded && !self.started && payload.is_empty());
                self.loaded = true;
            }
            Kind::Started => {
                assert!(self.loaded && !self.started && payload.is_empty());
                self.started = true;
            }
            _ => {
                assert!(self.started, "{kind:?} before Started");
                self.add_of_script(kind, payload);
            }
        }
    }

    fn add_of_script(&mut self, kind: Kind, payload: Vec<u8>) {
        match kind {
            Kind::Stdout => self.stdout.extend(payload),
            Kind::Stderr => self.stderr.extend(payload),
            Kind::OutputFile => self.output_file.extend(payload),
            Kind::LeftFile => self.left.push(parsed(&payload)),
            Kind::DiskUse => self.disk_use.push(parsed::<DiskUse>(&payload).bytes),
            Kind::ArtifactBegin => {
                assert_eq!(self.announced, 0, "the artifact before it is whole");
                let ArtifactBegin { name, size } = parsed(&payload);
                self.announced = size;
                self.artifacts.push((name, vec![]));
            }
            Kind::ArtifactData => {
                self.announced -= payload.len() as u64;
                self.artifacts.last_mut().unwrap().1.extend(payload);
            }
            Kind::Exit => {
                assert_eq!(self.announced, 0, "the last artifact is whole");
                self.exit = Some(parsed(&payload));
            }
            _ => panic!("init never sends {kind:?}"),
        }
    }

    /// The exit frame of a script that was started.
    pub(crate) fn exit(&self) -> &Exit {
        assert_eq!(self.exit_code, 0, "{self:?}");
        self.exit.as_ref().unwrap_or_else(|| panic!("no exit: {self:?}"))
    }

    pub(crate) fn end(&self) -> End {
        self.exit().end
    }

    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.exit().stopped
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub(crate) fn artifact_names(&self) -> Vec<&str> {
        self.artifacts.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn skipped(&self) -> BTreeMap<&str, SkipReason> {
        let skipped = self.exit().artifacts_skipped.iter();
        skipped.map(|skipped| (skipped.name.as_str(), skipped.reason)).collect()
    }

    /// The refusal of a script that was not started.
    pub(crate) fn refused(&self) -> (RefusedReason, &str) {
        assert_eq!(self.exit_code, 0, "a refusal is an answer: {self:?}");
        assert!(!self.started);
        let refused = self.refused.as_ref().unwrap_or_else(|| panic!("not refused: {self:?}"));
        (refused.reason, &refused.detail)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(payload: &[u8]) -> T {
    serde_json::from_slice(payload).unwrap()
}
