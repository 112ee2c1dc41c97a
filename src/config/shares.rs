//! List of shares, as the operator writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::mount::is_source_allowed;
use crate::domain::sanitize::sanitize;
use crate::domain::share::ShareName;
use crate::shares::Shares;

/// Most shares of one server.
const MAX_SHARES: usize = 1_000;

/// Reads `NAME=DIR:NAME=DIR`. A folder need not be there yet, because its disk may come later.
pub(super) fn read(list: &str, data_dir: &Path) -> Result<Shares, String> {
    let mut roots = BTreeMap::new();
    for entry in list.split(':').filter(|entry| !entry.is_empty()) {
        let (name, root) = one(entry, data_dir)?;
        if roots.insert(name.clone(), root).is_some() {
            return Err(format!("the share {name} is there twice"));
        }
    }
    if roots.len() > MAX_SHARES {
        return Err(format!("{} shares, at most {MAX_SHARES} are possible", roots.len()));
    }
    Ok(Shares::new(roots))
}

fn one(entry: &str, data_dir: &Path) -> Result<(ShareName, PathBuf), String> {
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
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    if resolved.starts_with(&data_dir) || data_dir.starts_with(&resolved) {
        return Err(format!(
            "{shown:?} is refused: it contains the data folder {}, or is in it, and inputs, \
             outputs and hashes of tokens are there",
            data_dir.display()
        ));
    }
    Ok((name, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(list: &str) -> String {
        read(list, Path::new("/var/lib/gantry")).unwrap_err()
    }

    #[test]
    fn shares_have_a_name_and_a_folder() {
        let shares = read("media=/srv/media:stock=/srv/a=b:", Path::new("/data")).unwrap();
        let found: Vec<_> =
            shares.iter().map(|(name, root)| (name.as_str(), root.to_str().unwrap())).collect();
        assert_eq!(found, [("media", "/srv/media"), ("stock", "/srv/a=b")]);
        assert!(read("", Path::new("/data")).unwrap().is_empty());
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
            ("m=/var/lib/gantry", "data folder"),
            ("m=/var/lib/gantry/artifacts", "data folder"),
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
        assert!(read(&list, &data).unwrap_err().contains("data folder"));
    }
}
