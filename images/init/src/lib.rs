//! The frame protocol between Gantry and [PID 1](../main.rs) of a sandbox.
//!
//! Both ends of the attached stdio carry nothing but frames: an 8-byte header
//! ([`frame`]) and a payload, which is raw bytes or one of the JSON messages in
//! [`message`]. One container takes one request and answers it once.
//!
//! ```text
//! Gantry → init   Request, Script*, Stdin*            (complete: the script starts)
//!                 Cancel                              (any time after)
//! init → Gantry   Hello                               (once, when PID 1 is up)
//!                 Refused                             (the script could not be started)
//!               | Started, (Stdout | Stderr)*,
//!                 OutputFile*, (ArtifactBegin, ArtifactData*)*, Exit
//! ```
//!
//! EOF on init's stdin before the request is complete means that Gantry is gone:
//! init exits at once, nothing has started. EOF after it means nothing.
//!
//! This library does no I/O and never panics on what it is given: what comes out
//! of a container is hostile.

pub mod frame;
pub mod message;
