//! List of shares, as the operator writes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::mount::is_source_allowed;
use crate::domain::sanitize::sanitize;
use crate::domain::share::ShareName;
use crate::shares::Shares;

/// Most shares of one server.
const MAX_SHARES: usize = 1_000;

/// Reads `NAME=DIR:NAME=DIR`. A folder need not be there yet, because its disk may come later. None
/// may have one of `closed` in it, which are the server's own, or be in one.
pub(super) fn read(list: &str, closed: &[PathBuf]) -> Result<Shares, String> {
    let mut roots = BTreeMap::new();
    for entry in list.split(':').filter(|entry| !entry.is_empty()) {
        let (name, root) = one(entry, closed)?;
        if roots.insert(name.clone(), root).is_some() {
            return Err(format!("the share {name} is there twice"));
        }
    }
    if roots.len() > MAX_SHARES {
        return Err(format!("{} shares, at most {MAX_SHARES} are possible", roots.len()));
    }
    Ok(Shares::new(roots))
}

fn one(entry: &str, closed: &[PathBuf]) -> Result<(ShareName, PathBuf), String> {
    let shown = sanitize(entry);
    let (name, folder) =
        entry.split_once('=').ok_or_else(|| format!("{shown:?} is not NAME=DIR"))?;
    let name = ShareName::new(name).map_err(|fault| fault.to_string())?;
    let folder = PathBuf::from(folder);
    if !folder.is_absolute() {
        return Err(format!("{shown:?} has no absolute path"));
    }
    let resolved = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    if !is_source_allowed(&resolved) {
        return Err(format!("{shown:?} is refused: the folder gives control over the host"));
    }
    for own in closed {
        let own = own.canonicalize().unwrap_or_else(|_| own.clone());
        if resolved.starts_with(&own) || own.starts_with(&resolved) {
            return Err(format!(
                "{shown:?} is refused: it contains {}, or is in it, where the server keeps inputs, \
                 files and hashes of tokens",
                own.display()
            ));
        }
    }
    Ok((name, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(list: &str) -> String {
        read(list, &["/var/lib/gantry".into()]).unwrap_err()
    }

    #[test]
    fn shares_have_a_name_and_a_folder() {
        let shares = read("media=/srv/media:stock=/srv/a=b:", &["/data".into()]).unwrap();
        let found: Vec<_> =
            shares.iter().map(|(name, root)| (name.as_str(), root.to_str().unwrap())).collect();
        assert_eq!(found, [("media", "/srv/media"), ("stock", "/srv/a=b")]);
        assert!(read("", &["/data".into()]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_share_is_named() {
        for (list, words) in [
            ("/srv/media", "not NAME=DIR"),
            ("media", "not NAME=DIR"),
            ("=/srv", "1 to 64"),
            ("a b=/srv", "1 to 64"),
            ("../m=/srv", "1 to 64"),
            ("m=srv", "absolute"),
            ("m=", "absolute"),
            ("m=/srv:m=/opt", "twice"),
            ("m=/", "control over the host"),
            ("m=/proc", "control over the host"),
            ("m=/var/lib/gantry", "the server keeps"),
            ("m=/var/lib/gantry/artifacts", "the server keeps"),
            ("m=/var/lib", "control over the host"),
        ] {
            let error = refused(list);
            assert!(error.contains(words), "{list}: {error}");
        }
    }

    #[test]
    fn a_link_to_the_data_folder_is_no_way_round() {
        let host = tempfile::tempdir().unwrap();
        let data = host.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, host.path().join("link")).unwrap();
        let list = format!("m={}", host.path().join("link").display());
        assert!(read(&list, &[data]).unwrap_err().contains("the server keeps"));
    }
}
