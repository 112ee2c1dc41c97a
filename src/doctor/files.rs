//! Examines the store of files: every file is hashed again.

use super::Finding;
use crate::config::{DatabaseSettings, FileSettings, Settings};
use crate::disk::Space;
use crate::domain::quantities::show_bytes;
use crate::files::{Checked, Told, check};
use crate::store::{DatabaseUrl, Store};

/// Subject of the findings.
const SUBJECT: &str = "files";

/// Most digests that one finding names.
const MAX_NAMED: usize = 5;

/// Hashes all files again, and compares them with the database. `show` hears how far it is.
pub async fn examine(
    settings: &Settings,
    database: &DatabaseSettings,
    files: &FileSettings,
    show: impl Fn(u64, u64),
) -> Vec<Finding> {
    match look(settings, database, files, show).await {
        Ok(findings) => findings,
        Err(error) => {
            vec![Finding::error(SUBJECT, error, "correct this, and look again")]
        }
    }
}

async fn look(
    settings: &Settings,
    database: &DatabaseSettings,
    files: &FileSettings,
    show: impl Fn(u64, u64),
) -> Result<Vec<Finding>, String> {
    let data_dir = settings.data_dir()?;
    let folder = files.folder(&data_dir);
    let url = database.url(&data_dir).map_err(|error| error.to_string())?;
    let is_absent = matches!(&url, DatabaseUrl::Sqlite(path) if !path.exists());
    if is_absent || !folder.exists() {
        let seen = format!("{} is not there: no server has run yet", folder.display());
        return Ok(vec![Finding::ok(SUBJECT, seen)]);
    }
    let store = Store::open(&url).await.map_err(|error| error.to_string())?;
    let checked = check(&store, &folder, show).await.map_err(|error| error.to_string())?;
    store.close().await;
    let mut findings = told(&checked);
    findings.extend(room(files, &folder));
    Ok(findings)
}

fn told(checked: &Checked) -> Vec<Finding> {
    let Checked { sound, bytes, missing, damaged, unknown } = checked;
    let mut findings =
        vec![Finding::ok(SUBJECT, format!("{sound} are sound, {}", show_bytes(*bytes)))];
    if missing.count > 0 {
        findings.push(Finding::error(
            SUBJECT,
            format!("{} are not there: {}", missing.count, named(missing)),
            "send them again, or restore the folder of files: executions that take them fail",
        ));
    }
    if damaged.count > 0 {
        findings.push(Finding::error(
            SUBJECT,
            format!("{} have other bytes than they had: {}", damaged.count, named(damaged)),
            "look at the disk; remove these files below sha256/, and send them again",
        ));
    }
    if unknown.count > 0 {
        findings.push(Finding::warning(
            SUBJECT,
            format!("{} are not in the database: {}", unknown.count, named(unknown)),
            "the server removes them by itself when they are older than GANTRY_FILES_GRACE",
        ));
    }
    findings
}

fn named(told: &Told) -> String {
    let some: Vec<_> = told.some.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = if told.count > some.len() as u64 { ", …" } else { "" };
    format!("{}{more}", some.join(", "))
}

fn room(files: &FileSettings, folder: &std::path::Path) -> Option<Finding> {
    let space = Space::of(folder).ok()?;
    let reserve = files.reserve().bytes(space);
    let seen = format!("{} are free on their disk", show_bytes(space.free));
    Some(match space.free > reserve {
        true => Finding::ok(SUBJECT, seen),
        false => Finding::error(
            SUBJECT,
            format!("{seen}, and {} are kept free: no file is taken", show_bytes(reserve)),
            "free some space, or lower GANTRY_DISK_RESERVE",
        ),
    })
}
