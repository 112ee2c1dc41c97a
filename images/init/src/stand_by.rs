//! A process that waits for the request and then runs its script, so that an
//! interpreter's start is over before a request waits for it. Its protocol is described
//! at [`message::StandBy`].
//!
//! It is as hostile as its script: its output is short text or not looked at
//! ([`gantry_init::ready_line`]), and nothing here waits for it without an end. While it
//! waits it is stopped, with all that it has started: an unused sandbox takes no time of
//! the machine.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gantry_init::message::{self, Launch, Refused, Request, STAND_BY_VARIABLE, STAND_BY_WITHIN_MS};
use gantry_init::ready_line::{Ready, ReadyLine};

use crate::child::{Child, Image, Pipes, enter, start};
use crate::delivery::{create_in_memory, create_script, script_path, set_time};
use crate::fields::write_field;
use crate::pid_one::{PidOne, Reaped};
use crate::readiness::{Interest, wait};
use crate::signals::Signals;
use nix::libc;

/// Its file descriptors are above those that anything else gets by itself.
const FIRST_DESCRIPTOR: i32 = 100;

/// Characters of a variable's name that are passed on, so that the frame stays small.
const MAX_SHOWN_NAME: usize = 100;

/// A process that stands by.
pub(crate) struct StandBy {
    pid: Pid,
    order: message::StandBy,
    without: Vec<String>,
    control: UnixStream,
    request: File,
    stdin: PipeWriter,
    stdout: PipeReader,
    stderr: PipeReader,
}

/// Reasons that no process stands by.
pub(crate) enum NotReady {
    /// It can't be used; the reason for the answer.
    Unfit(String),
    /// Gantry is gone.
    Gone,
}

impl StandBy {
    /// Starts it; it is not ready yet.
    pub(crate) fn start(order: &message::StandBy) -> io::Result<Self> {
        enter(&order.working_directory).map_err(|refused| io::Error::other(refused.detail))?;
        let path = place(order)?;
        let command = command(&order.launch).ok_or(Errno::EINVAL)?;
        let preparation = create_in_memory(c"preparation", libc::MFD_NOEXEC_SEAL)?;
        describe(&preparation, order, path.as_os_str().as_encoded_bytes())?;
        let request = create_in_memory(c"request", libc::MFD_NOEXEC_SEAL)?;
        let (control, its_control) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let inherited = [raised(&its_control)?, raised(&preparation)?, raised(&request)?];
        let numbers = inherited.each_ref().map(|fd| fd.as_raw_fd().to_string()).join(",");
        let own = order.own_env.iter().cloned().chain([(STAND_BY_VARIABLE.to_owned(), numbers)]);
        let env: Vec<_> = order.env.iter().cloned().chain(own).collect();
        let image = Image::of_command(&command, &[], &env)?;
        let Pipes { stdin, stdout, stderr, its_stdin, its_outputs } = Pipes::new()?;
        let program = command.first().map_or("", String::as_str);
        let pid = start(program, image, its_stdin, its_outputs, &inherited)?;
        let (order, without) = (order.clone(), Vec::new());
        Ok(Self { pid, order, without, control, request, stdin, stdout, stderr })
    }

    /// Its number, needed to reap it.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it is ready, and stops it there. Returns its remark.
    pub(crate) fn wait_until_ready(
        &mut self,
        pid_one: &PidOne,
        signals: &Signals,
        input: Option<Interest<'_>>,
    ) -> Result<Option<String>, NotReady> {
        let deadline = Instant::now() + Duration::from_millis(STAND_BY_WITHIN_MS);
        let mut said = ReadyLine::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NotReady::Unfit("it is not ready in time".to_owned()));
            }
            let interests =
                [Some(Interest::reading(&self.control)), Some(Interest::reading(signals)), input];
            let [answers, signalled, heard] = wait(interests, Some(left));
            if heard || (signalled && signals.take()) {
                // Nothing is to come before we have answered: it is the end.
                return Err(NotReady::Gone);
            }
            // Its line comes before its end.
            let is_all = answers && self.hears_all(&mut said);
            if is_all || (signalled && self.has_ended(pid_one)) {
                break;
            }
        }
        let Ready { without, remark } = said.verdict().map_err(NotReady::Unfit)?;
        self.check_output()?;
        self.without = without;
        pid_one.signal_everyone(Signal::SIGSTOP);
        Ok(remark)
    }

    /// Reads its line; true when that is all.
    fn hears_all(&mut self, said: &mut ReadyLine) -> bool {
        let mut piece = [0; 256];
        match self.control.read(&mut piece) {
            Ok(0) => true,
            Ok(length) => said.hears_all(&piece[..length]),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    fn has_ended(&self, pid_one: &PidOne) -> bool {
        let mut has_ended = false;
        while let Reaped::Process(pid, _) = pid_one.reap() {
            has_ended |= pid == self.pid;
        }
        has_ended
    }

    /// Checks that nothing has been written. Output stays in the pipes until the script
    /// runs, whose first output it is. That of modules which the script imports at some
    /// time comes too early.
    fn check_output(&self) -> Result<(), NotReady> {
        let outputs = [&self.stdout, &self.stderr].map(|it| Some(Interest::reading(it)));
        let is_listed = self.order.modules.is_some();
        if is_listed && wait(outputs, Some(Duration::ZERO)) != [false, false] {
            return Err(NotReady::Unfit("it writes, or closes its output".to_owned()));
        }
        Ok(())
    }

    /// Checks that the script could not tell this process from one that was started for
    /// its request.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn check(&self, request: &Request) -> Result<(), String> {
        let order = &self.order;
        if order.launch != request.launch || order.working_directory != request.working_directory {
            return Err("the request is for something else".to_owned());
        }
        let [common, requested] = [&order.env, &request.env].map(|env| by_name(env));
        let names = common.keys().chain(requested.keys());
        for name in names.filter(|name| common.get(*name) != requested.get(*name)) {
            let shown: String = name.chars().take(MAX_SHOWN_NAME).collect();
            if !order.differing.iter().any(|it| it == name) {
                return Err(format!("the request has a value of its own for {shown}"));
            }
            if self.without.iter().any(|it| it == name) && requested.contains_key(name) {
                return Err(format!("the request has {shown}, which its imports have looked for"));
            }
        }
        Ok(())
    }

    /// Lets it run the script. `None` if it can't.
    pub(crate) fn begin(
        mut self,
        request: &Request,
        pid_one: &PidOne,
    ) -> Result<Option<Child>, Refused> {
        enter(&request.working_directory)?;
        if self.hand_over(request).is_err() || !self.is_alive() {
            return Ok(None);
        }
        let Self { pid, stdin, stdout, stderr, .. } = self;
        let started = Instant::now();
        pid_one.signal_everyone(Signal::SIGCONT);
        let child = Child { pid, started, stdin, stdout, stderr };
        Ok(self.control.write_all(b"g").is_ok().then_some(child))
    }

    fn hand_over(&mut self, request: &Request) -> io::Result<()> {
        let command = command(&request.launch).ok_or(Errno::EINVAL)?;
        let words: Vec<_> = command.iter().chain(&request.args).map(String::as_bytes).collect();
        let mut fields = io::BufWriter::new(&self.request);
        write_field(&mut fields, request.working_directory.as_bytes())?;
        write_field(&mut fields, words.len().to_string().as_bytes())?;
        words.into_iter().try_for_each(|word| write_field(&mut fields, word))?;
        for (name, value) in &request.env {
            write_field(&mut fields, format!("{name}={value}").as_bytes())?;
        }
        fields.flush()
    }

    /// False if it has ended, reaped or not.
    fn is_alive(&self) -> bool {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: plain integers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let id = self.pid.as_raw().cast_unsigned();
        // SAFETY: `info` is a valid place during the call.
        let failed = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) } != 0;
        // SAFETY: waitid has filled it in, or left it zero: no process has ended.
        !failed && unsafe { info.si_pid() } == 0
    }
}

/// Path of the script's file, which is written unless it is the image's.
fn place(order: &message::StandBy) -> io::Result<PathBuf> {
    match &order.launch {
        Launch::Interpreted { file_name, .. } => {
            let path = script_path(file_name);
            let mut script = create_script(&path)?;
            script.write_all(order.source.as_bytes())?;
            set_time(&script)?;
            Ok(path)
        }
        Launch::InImage { path, .. } => Ok(path.into()),
        Launch::Executable { .. } => Err(Errno::EINVAL.into()),
    }
}

/// Words that start the script; `None` for one that no interpreter reads.
fn command(launch: &Launch) -> Option<Vec<String>> {
    match launch {
        Launch::Interpreted { interpreter, file_name } => {
            let path = script_path(file_name).to_str()?.to_owned();
            Some(interpreter.iter().cloned().chain([path]).collect())
        }
        Launch::InImage { command, .. } => Some(command.clone()),
        Launch::Executable { .. } => None,
    }
}

fn by_name(env: &[(String, String)]) -> BTreeMap<&str, &str> {
    env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Writes what it is to get ready for.
fn describe(file: &File, order: &message::StandBy, path: &[u8]) -> io::Result<()> {
    let mut fields = io::BufWriter::new(file);
    write_field(&mut fields, path)?;
    write_field(&mut fields, order.source.as_bytes())?;
    write_field(&mut fields, if order.modules.is_some() { b"1" } else { b"0" })?;
    for name in order.modules.iter().flatten() {
        write_field(&mut fields, name.as_bytes())?;
    }
    fields.flush()
}

/// The same with a number that is out of the way.
fn raised(descriptor: &impl AsFd) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(FIRST_DESCRIPTOR))?;
    // SAFETY: it was made just now, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
