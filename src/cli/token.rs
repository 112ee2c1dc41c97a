//! `gantry token`: who may ask a server, and for what.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::remote::{self, Failure};
use super::{FAILED, message, stdout, table};
use crate::client::wire::Token;
use crate::client::{Client, Fields, Page};
use crate::config::ClientSettings;
use crate::domain::quantities::parse_duration;
use crate::domain::sanitize::{escaped, sanitize};

/// A day, in seconds.
const DAY: u64 = 86_400;

/// Rows per request when a name is looked up: the server's most.
const PAGE: u32 = 1_000;

/// Pages that are looked through for a name.
const MAX_PAGES: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: ClientSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a token and prints it, this once
    Create(CreateArguments),
    /// Lists tokens, without their secrets
    List(ListArguments),
    /// Revokes a token: it is refused from now on
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
struct CreateArguments {
    /// What it is called, such as the pipeline that uses it
    name: String,

    /// What it may do
    #[arg(long)]
    role: Role,

    /// A script that it may run and see, and no others; may be repeated
    #[arg(long = "script", value_name = "SCRIPT")]
    scripts: Vec<String>,

    /// A share of the server that its executions may read, or the part of it below a
    /// path; may be repeated. Admins read every share
    #[arg(long = "share", value_name = "NAME[/PATH]")]
    shares: Vec<String>,

    /// When it ends, in whole days, such as 30d [default: never]
    #[arg(long, value_name = "TIME", value_parser = days)]
    expires: Option<u64>,

    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// All
    Admin,
    /// Limits, enabling, cancelling; sees all
    Operator,
    /// Runs scripts and sees their executions
    Runner,
    /// Sees all and changes nothing
    Viewer,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Runner => "runner",
            Self::Viewer => "viewer",
        }
    }
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Most tokens that are listed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Tokens before the first one
    #[arg(long, value_name = "N")]
    offset: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RevokeArguments {
    /// Its id or its name
    token: String,
}

/// A time as whole days; less than one would be none.
fn days(text: &str) -> Result<u64, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_secs(DAY) || time.as_secs() % DAY != 0 || time.subsec_nanos() != 0 {
        return Err("tokens last for whole days: 1d, 30d, 365d".to_owned());
    }
    Ok(time.as_secs() / DAY)
}

pub(super) async fn main(arguments: Arguments) -> u8 {
    let done = match remote::connect(&arguments.settings) {
        Ok(client) => match arguments.command {
            Command::Create(arguments) => create(&client, &arguments).await,
            Command::List(arguments) => list(&client, &arguments).await,
            Command::Revoke(arguments) => revoke(&client, &arguments.token).await,
        },
        Err(failure) => Err(failure),
    };
    remote::code(done, FAILED)
}

async fn create(client: &Client, arguments: &CreateArguments) -> Result<u8, Failure> {
    let mut fields = Fields::default();
    fields.set("name", &arguments.name)?;
    fields.set("role", &arguments.role.name())?;
    fields.set_list("scripts", &arguments.scripts)?;
    fields.set_list("shares", &arguments.shares)?;
    fields.set_some("expires_in_days", arguments.expires.as_ref())?;
    let document = client.create_token(&fields).await?;
    let token: Token = document.read()?;
    if arguments.json {
        remote::print_json(&document)?;
    } else {
        stdout::line(&escaped(token.token.as_str()))?;
    }
    let id = sanitize(token.id.as_str());
    message::note(&format!("this is shown once: keep it now (its id is {id})"));
    Ok(0)
}

async fn list(client: &Client, arguments: &ListArguments) -> Result<u8, Failure> {
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.tokens(page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let tokens: Vec<Token> = list.document.read()?;
    let rows: Vec<_> = tokens.iter().map(as_row).collect();
    table::print(
        ["ID", "NAME", "ROLE", "SCRIPTS", "SHARES", "STATE", "LAST USED", "CREATED"],
        &rows,
    )?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

fn as_row(token: &Token) -> [String; 8] {
    let text = |shown: &crate::client::wire::Shown| shown.as_str().to_owned();
    let state = match (token.revoked_at.some(), token.expires_at.some()) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "valid".to_owned(),
    };
    let scripts = token.scripts.as_ref().map_or("all".to_owned(), |names| names.join(" "));
    let shares = match token.shares.as_deref() {
        _ if token.role.as_str() == Role::Admin.name() => "all".to_owned(),
        None | Some([]) => "none".to_owned(),
        Some(shares) => shares.join(" "),
    };
    let last_used = token.last_used_at.some().unwrap_or("never").to_owned();
    let (id, name, role) = (text(&token.id), text(&token.name), text(&token.role));
    [id, name, role, scripts, shares, state, last_used, text(&token.created_at)]
}

async fn revoke(client: &Client, wanted: &str) -> Result<u8, Failure> {
    let id = find(client, wanted).await?;
    client.revoke_token(&id).await?;
    stdout::line(&format!("revoked {}", sanitize(wanted)))?;
    Ok(0)
}

/// The id of the token that is meant: an id is meant before a name, and a name
/// is one of a token that still counts.
async fn find(client: &Client, wanted: &str) -> Result<String, Failure> {
    let mut named = Vec::new();
    for number in 0..MAX_PAGES {
        let page = Page { limit: Some(PAGE), offset: Some(number * u64::from(PAGE)) };
        let tokens: Vec<Token> = client.tokens(page).await?.document.read()?;
        let is_last = tokens.len() < PAGE as usize;
        for token in tokens {
            if token.id.as_str() == wanted {
                return Ok(wanted.to_owned());
            }
            if token.name.as_str() == wanted && token.revoked_at.some().is_none() {
                named.push(token.id.as_str().to_owned());
            }
        }
        if is_last {
            break;
        }
    }
    match named.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(Failure::new(
            format!("no token has the id or the name {:?}", sanitize(wanted)),
            "`gantry token list` shows them",
        )),
        several => Err(Failure::new(
            format!("{} tokens have the name {:?}", several.len(), sanitize(wanted)),
            &format!("name one by its id: {}", several.join(", ")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_last_for_whole_days() {
        assert_eq!((days("30d"), days("48h")), (Ok(30), Ok(2)));
        for text in ["0d", "12h", "36h", "1d1ns", "-1d", "soon", ""] {
            assert!(days(text).is_err(), "{text}");
        }
    }
}
