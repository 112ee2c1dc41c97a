//! The frame protocol between Gantry and [PID 1](../main.rs) of a sandbox.
//!
//! Both ends of the attached stdio carry nothing but frames: an 8-byte header
//! ([`frame`]) and a payload, which is raw bytes or one of the JSON messages in
//! [`message`]. One container takes one request and answers it once.
//!
//! ```text
//! Gantry → init   Prepare                             (once at most, and first)
//!                 Request, Script*, Stdin*            (complete: nothing runs yet)
//!                 Go                                  (the script starts)
//!                 Cancel                              (any time)
//! init → Gantry   Hello                               (once, when PID 1 is up)
//!                 Prepared                            (once, after Prepare)
//!                 Loaded                              (once, the request is complete)
//!                 Started, (Stdout | Stderr | DiskUse)*,  (after Go)
//!                 OutputFile*, (ArtifactBegin, ArtifactData*)* or LeftFile*, Exit
//!                 Refused                             (in place of Loaded or of Started, and last)
//! ```
//!
//! As long as Go was not sent it is certain that nothing of the script has run: a
//! container can be handed its request before it is decided that it runs, and one
//! that died can be replaced.
//!
//! EOF on init's stdin before Go means that Gantry is gone: init exits at once. EOF
//! after it means nothing.
//!
//! PID 1's parsers are here, too: [`intake`] of its stdin, [`request`] of a request,
//! [`ready_line`] of the line of a process that stands by. Names of artifacts have one
//! rule for both ends, [`artifact_name`].
//!
//! This library does no I/O and never panics on what it is given: what comes out
//! of a container is hostile. All of it is fuzzed (`images/init/fuzz`).

pub mod artifact_name;
pub mod frame;
pub mod intake;
pub mod message;
pub mod ready_line;
pub mod request;
