//! Describes one execution, and starts it.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use gantry_init::frame::{Decoder, Frame, Header, Kind, MAX_REQUEST_PAYLOAD};
use gantry_init::message::{
    ArtifactCaps, DiskCaps, Launch, OutputFile, Preparation, Request, WORK_DIR,
};

use super::answer::Answer;
use super::{PATIENCE, Sandbox};

/// One frame's bytes.
pub(crate) fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    [&Header::encode(kind, payload.len()).unwrap(), payload].concat()
}

/// An execution that has not been started.
pub(crate) struct Run {
    pub(crate) preparation: Option<Preparation>,
    pub(crate) request: Request,
    pub(crate) script: Vec<u8>,
    pub(crate) stdin: Vec<u8>,
}

/// A shell script, with limits that it does not reach.
pub(crate) fn shell(source: &str) -> Run {
    let launch =
        Launch::Interpreted { interpreter: vec!["/bin/sh".into()], file_name: "script".into() };
    Run::new(launch, source.as_bytes())
}

/// The same for bash.
pub(crate) fn bash(source: &str) -> Run {
    let launch =
        Launch::Interpreted { interpreter: vec!["/bin/bash".into()], file_name: "script".into() };
    Run::new(launch, source.as_bytes())
}

/// A program.
pub(crate) fn executable(name: &str, bytes: &[u8]) -> Run {
    Run::new(Launch::Executable { name: name.into() }, bytes)
}

impl Run {
    fn new(launch: Launch, script: &[u8]) -> Self {
        let request = Request {
            launch,
            args: vec![],
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            working_directory: WORK_DIR.into(),
            script_bytes: 0,
            stdin_bytes: 0,
            timeout_ms: 30_000,
            grace_ms: 2_000,
            stream_cap: 10 << 20,
            output_file: None,
            artifacts: ArtifactCaps { count: 100, bytes: 10 << 20 },
            disk: None,
            stay_ms: 0,
        };
        Self { preparation: None, request, script: script.to_vec(), stdin: vec![] }
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.request.args = args.iter().map(|&arg| arg.into()).collect();
        self
    }

    pub(crate) fn env(mut self, env: &[(&str, &str)]) -> Self {
        self.request.env = env.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        self
    }

    pub(crate) fn stdin(mut self, stdin: &[u8]) -> Self {
        self.stdin = stdin.to_vec();
        self
    }

    pub(crate) fn prepared(mut self, preparation: Preparation) -> Self {
        self.preparation = Some(preparation);
        self
    }

    pub(crate) fn working_directory(mut self, path: &str) -> Self {
        self.request.working_directory = path.into();
        self
    }

    pub(crate) fn times_ms(mut self, timeout: u64, grace: u64) -> Self {
        (self.request.timeout_ms, self.request.grace_ms) = (timeout, grace);
        self
    }

    pub(crate) fn stream_cap(mut self, bytes: u64) -> Self {
        self.request.stream_cap = bytes;
        self
    }

    pub(crate) fn output_file(mut self, path: &str, cap: u64) -> Self {
        self.request.output_file = Some(OutputFile { path: path.into(), cap });
        self
    }

    pub(crate) fn artifacts(mut self, count: u32, bytes: u64) -> Self {
        self.request.artifacts = ArtifactCaps { count, bytes };
        self
    }

    pub(crate) fn disk(mut self, bytes: u64, files: u64) -> Self {
        self.request.disk = Some(DiskCaps { bytes, files });
        self
    }

    /// All frames of the request, and the one that starts its script.
    pub(crate) fn bytes(self) -> Vec<u8> {
        [self.request_bytes(), frame(Kind::Go, b"")].concat()
    }

    /// All frames of the request, behind what is to be prepared.
    pub(crate) fn request_bytes(mut self) -> Vec<u8> {
        self.request.script_bytes = self.script.len() as u64;
        self.request.stdin_bytes = self.stdin.len() as u64;
        let mut bytes = self.preparation_bytes();
        bytes.extend(frame(Kind::Request, &serde_json::to_vec(&self.request).unwrap()));
        for (kind, content) in [(Kind::Script, &self.script), (Kind::Stdin, &self.stdin)] {
            for piece in content.chunks(MAX_REQUEST_PAYLOAD) {
                bytes.extend(frame(kind, piece));
            }
        }
        bytes
    }

    /// The frame with the preparation, if there is one.
    pub(crate) fn preparation_bytes(&mut self) -> Vec<u8> {
        let preparation = self.preparation.take();
        let json = preparation.map(|it| serde_json::to_vec(&it).unwrap());
        json.map_or(vec![], |json| frame(Kind::Prepare, &json))
    }

    /// Runs it in a new sandbox to its end; `None` where there are no sandboxes.
    pub(crate) fn run(self) -> Option<Answer> {
        Some(self.start()?.answer())
    }

    /// Starts it in a new sandbox.
    pub(crate) fn start(self) -> Option<Running> {
        Sandbox::start().map(|sandbox| self.start_in(sandbox))
    }

    /// Starts it in this sandbox, which has to be unused.
    pub(crate) fn start_in(mut self, mut sandbox: Sandbox) -> Running {
        let mut output = sandbox.output.take().unwrap();
        let (sender, frames) = channel();
        thread::spawn(move || {
            let mut decoder = Decoder::new();
            let mut piece = vec![0; 128 * 1024];
            while let Ok(length @ 1..) = std::io::Read::read(&mut output, &mut piece) {
                decoder.feed(&piece[..length]);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    let _ = sender.send(frame);
                }
            }
            assert!(decoder.is_at_boundary(), "the last frame is whole");
        });
        let preparation = self.preparation_bytes();
        let mut running = Running { sandbox, frames, answer: Answer::default() };
        if !preparation.is_empty() {
            running.write(&preparation);
            running.wait_until_prepared();
        }
        running.write(&self.bytes());
        running
    }
}

/// An execution in its sandbox.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    frames: Receiver<Frame>,
    answer: Answer,
}

impl Running {
    /// Waits until the script has written this to stdout.
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.answer.stdout).contains(text) {
            let frame = self.frames.recv_timeout(PATIENCE);
            self.answer.add(frame.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.answer)));
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // A refused request is not read to its end.
        let _ = self.sandbox.input.as_mut().unwrap().write_all(bytes);
    }

    fn wait_until_prepared(&mut self) {
        while self.answer.prepared.is_none() {
            self.answer.add(self.frames.recv_timeout(PATIENCE).unwrap());
        }
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, kind: Kind, payload: &[u8]) {
        self.sandbox.input.as_mut().unwrap().write_all(&frame(kind, payload)).unwrap();
    }

    /// Waits for the last frame and the end of PID 1.
    pub(crate) fn answer(mut self) -> Answer {
        loop {
            match self.frames.recv_timeout(PATIENCE) {
                Ok(frame) => self.answer.add(frame),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("{error}: {:?}", self.answer),
            }
        }
        self.answer.exit_code = self.sandbox.exit_code();
        self.answer
    }
}
