//! Pure values and rules. Nothing here does I/O, reads a clock or the environment, or knows
//! SQL, HTTP or the engine. Every module may depend on it; it depends on nothing but the
//! frame protocol's messages.
//!
//! Start with [`script`] (the file that is run), [`sandbox_spec`] (its container) and
//! [`outcome`] (its end).

pub mod bundle;
pub mod confinement;
pub mod elf;
pub mod environment;
pub mod error_chain;
pub mod execution;
pub mod fault;
pub mod file;
pub mod file_fields;
pub mod input_files;
pub mod job;
pub mod json_form;
pub mod json_input;
pub mod json_schema;
pub mod json_shape;
pub mod keep;
pub mod limits;
pub mod media_type;
pub mod mount;
pub mod oci_runtime;
pub mod outcome;
pub mod output_log;
pub mod owners;
pub mod preparation;
pub mod quantities;
pub mod registry;
pub mod run_folder;
pub mod sandbox_spec;
pub mod sanitize;
pub mod script;
pub mod script_type;
pub mod share;
pub mod system_packages;
pub mod text;
pub mod token;
pub mod tree;
pub mod uid_range;
pub mod unique_keys;
pub mod user;
pub mod variables;
pub mod warm_up;
