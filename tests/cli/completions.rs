//! `gantry completions`: scripts that shells take.

use std::io::Write;
use std::process::{Command, Stdio};

fn completions(shell: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let output = command.args(["completions", shell]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_shell_knows_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = completions(shell);
        for word in ["executions", "artifacts", "token-file", "idempotency-key"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn bash_can_read_its_own() {
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(completions("bash").as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}
