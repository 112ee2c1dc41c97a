//! The `--help` of every command.

use std::process::Command;

/// What a command says to `--help`, whatever the environment of the tests is.
fn help(command: &[String]) -> String {
    let mut gantry = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let output = gantry.args(command).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names below `Commands:`.
fn commands_in(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// A text without the settings that all commands share: they are shown once.
fn without_settings(help: &str) -> String {
    let mut is_inside = false;
    let kept = help.lines().filter(|line| {
        is_inside = match line.chars().next() {
            Some(' ') | None => is_inside,
            Some(_) => *line == "Settings:",
        };
        !is_inside
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The texts of a command and of those below it.
fn all_below(command: &[String], texts: &mut String) {
    let help = help(command);
    let shown = if command.is_empty() { help.clone() } else { without_settings(&help) };
    let line = ["gantry"].into_iter().chain(command.iter().map(String::as_str));
    let line = line.collect::<Vec<_>>().join(" ");
    texts.push_str(&format!("$ {line} --help\n{}\n\n", shown.trim_end()));
    if command.is_empty() {
        return;
    }
    for name in commands_in(&help) {
        all_below(&[command, &[name]].concat(), texts);
    }
}

#[test]
fn what_every_command_says_of_itself() {
    let root = help(&[]);
    let commands = commands_in(&root);
    assert!(commands.len() >= 8, "{commands:?}");
    let mut texts = String::new();
    all_below(&[], &mut texts);
    crate::assert_snapshot("help", &texts);
    for command in commands {
        let mut texts = String::new();
        all_below(std::slice::from_ref(&command), &mut texts);
        crate::assert_snapshot(&format!("help_{command}"), &texts);
    }
}
