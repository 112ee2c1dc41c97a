//! `docs/configuration.md`, from the definitions of the flags.

use clap::{Arg, Args, Command};
use gantry::config::{ClientSettings, ServeSettings, Settings};

use crate::page::assert_part;

const PAGE: &str = "docs/configuration.md";

#[test]
fn settings_stand_in_the_reference_as_they_are_defined() {
    assert_part(PAGE, "serve", &settings::<ServeSettings>());
    assert_part(PAGE, "all commands", &settings::<Settings>());
    assert_part(PAGE, "clients", &settings::<ClientSettings>());
}

fn settings<T: Args>() -> String {
    let command = T::augment_args(Command::new("gantry"));
    let shown: Vec<_> = command.get_arguments().map(|arg| setting(&command, arg)).collect();
    assert!(!shown.is_empty());
    shown.join("\n")
}

/// One setting: its names, default, values and meaning.
fn setting(command: &Command, arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help()).expect("every flag is explained");
    let (meaning, in_words) = default_in_words(&help.to_string());
    let flag = arg.get_long().expect("every setting has a long flag");
    let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let title = variable.unwrap_or_else(|| format!("--{flag}"));
    let takes_value = arg.get_action().takes_values();
    let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    let shown_flag = match &name {
        Some(name) if takes_value => format!("`--{flag} {name}`"),
        _ => format!("`--{flag}`"),
    };
    let mut defaults = arg.get_default_values().iter().map(|it| it.to_string_lossy().into_owned());
    let default = match defaults.next_back() {
        Some(value) if takes_value => format!("`{value}`"),
        Some(_) => "`false`".to_owned(),
        None => in_words.unwrap_or_else(|| if takes_value { "none" } else { "`false`" }.to_owned()),
    };
    let values = match name.as_deref() {
        _ if !takes_value => "`true` or `false`; the flag itself takes no value".to_owned(),
        Some("COUNT" | "DAYS") => whole_numbers(command, flag),
        Some("SIZE") => "a [size](#how-values-are-written)".to_owned(),
        Some("TIME") => "a [time](#how-values-are-written)".to_owned(),
        Some("DIRS") => "folders, separated by `:`".to_owned(),
        Some("DIR") => "a folder".to_owned(),
        Some("FILE") => "a file of at most 16 KiB".to_owned(),
        Some("RANGE") => "a [range of user ids](#how-values-are-written)".to_owned(),
        Some("SHARES") => "[shares](#how-values-are-written)".to_owned(),
        Some("USERS") => "[users](#how-values-are-written)".to_owned(),
        Some("LIST") => "words, separated by `,`".to_owned(),
        Some("ADDRESS") => "an IP address and a port".to_owned(),
        Some("URL") => "an address".to_owned(),
        Some("NAME" | "IMAGE") => "a name".to_owned(),
        other => panic!("say here how values of --{flag} ({other:?}) are written"),
    };
    let end = if meaning.ends_with('.') { "" } else { "." };
    format!("### {title}\n\n{shown_flag} · default: {default} · {values}\n\n{meaning}{end}\n")
}

/// A help text without the part that says the default in words, and that part.
fn default_in_words(help: &str) -> (String, Option<String>) {
    let Some((before, rest)) = help.split_once(" [default: ") else {
        return (help.to_owned(), None);
    };
    let (default, after) = rest.split_once(']').expect("it ends");
    (format!("{before}{after}"), Some(default.to_owned()))
}

/// The range that a flag takes: tried, so that nobody has to write it down.
fn whole_numbers(command: &Command, flag: &str) -> String {
    let takes = |value: u64| {
        let words = ["gantry".to_owned(), format!("--{flag}={value}")];
        command.clone().try_get_matches_from(words).is_ok()
    };
    let least = (0..=1).find(|value| takes(*value)).expect("0 or 1 is taken");
    let most = [u64::MAX, u32::MAX.into(), u16::MAX.into()].into_iter().find(|it| takes(*it));
    format!("a whole number from {least} to {}", most.expect("one of them is taken"))
}
