//! Settings: each is a flag and an environment variable of the same name. Only this module
//! reads the environment.

mod files;
mod serve;
mod shares;

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::domain::owners::parse_owners;
use crate::domain::quantities::parse_bytes;
use crate::domain::script_type::python::requirements::RequirementsPolicy;
use crate::domain::uid_range::UidRange;
use crate::domain::user::User;
use crate::engine::docker::Endpoint;
use crate::images::{BaseSource, BuildDisk, InstallerSettings};
use crate::shares::Shares;

pub use files::FileSettings;
pub use serve::{DatabaseSettings, PoolSettings, ServeSettings};

/// Variables that pip and uv read their indexes from, with each one's counterpart in the
/// other tool.
const INDEX_VARIABLES: [(&str, &str); 4] = [
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
];

/// uv's older names of these variables.
const OLD_INDEX_VARIABLES: [(&str, &str); 2] =
    [("UV_INDEX_URL", "UV_DEFAULT_INDEX"), ("UV_EXTRA_INDEX_URL", "UV_INDEX")];

/// Variables that are passed to installers unchanged.
const PASSED_ON: [&str; 9] = [
    "UV_INDEX_STRATEGY",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS_JSON_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Paths of the CA bundle in Linux distributions.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Settings that all commands share.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Folder for this installation's id, its SQLite database, artifacts, locks and
    /// unfinished images [default: $XDG_DATA_HOME/gantry or ~/.local/share/gantry]
    #[arg(
        long,
        env = "GANTRY_DATA_DIR",
        value_name = "DIR",
        global = true,
        hide_env_values = true
    )]
    data_dir: Option<PathBuf>,

    /// Folder for scratch on disk and for the files that scripts read: each container has
    /// its own in it, which is gone with it. It should be on the same file system as the
    /// files, and must not be below a mount root [default: scratch in the data folder]
    #[arg(
        long,
        env = "GANTRY_SCRATCH_DIR",
        value_name = "DIR",
        global = true,
        hide_env_values = true
    )]
    scratch_dir: Option<PathBuf>,

    /// Image that all images are built on. With `none`, and when it can't be pulled,
    /// mmdebstrap makes the root file system instead
    #[arg(
        long,
        env = "GANTRY_BASE_IMAGE",
        value_name = "IMAGE",
        default_value = "debian:trixie-slim",
        global = true,
        hide_env_values = true
    )]
    base_image: String,

    /// Folders that scripts may mount files and folders from, separated by colons. A
    /// folder that does not exist allows nothing [default: none]
    #[arg(
        long,
        env = "GANTRY_MOUNT_ROOTS",
        value_name = "DIRS",
        global = true,
        hide_env_values = true
    )]
    mount_roots: Option<String>,

    /// Folders that executions may read files of, as NAME=DIR, separated by colons: they
    /// name a file as share:NAME/PATH, and the caller's token says which shares it opens
    /// [default: none]
    #[arg(
        long,
        env = "GANTRY_SHARES",
        value_name = "SHARES",
        global = true,
        hide_env_values = true
    )]
    shares: Option<String>,

    /// Users that scripts may run as, as UID:GID, separated by commas: what such a script
    /// writes to a mount belongs to its owner. Never root [default: none]
    #[arg(
        long,
        env = "GANTRY_OWNERS",
        value_name = "USERS",
        global = true,
        hide_env_values = true
    )]
    owners: Option<String>,

    /// What requirements may contain beside names and versions, separated by commas:
    /// `sources` (packages that are built from source), `urls`, `options` (other
    /// indexes) [default: nothing]
    #[arg(
        long,
        env = "GANTRY_REQUIREMENTS_ALLOW",
        value_name = "LIST",
        global = true,
        hide_env_values = true
    )]
    requirements_allow: Option<String>,

    /// Disk space that one build of an environment may use to download, unpack and
    /// pack its packages
    #[arg(
        long,
        env = "GANTRY_BUILD_DISK",
        value_name = "SIZE",
        default_value = "16GiB",
        value_parser = bytes,
        global = true,
        hide_env_values = true
    )]
    build_disk: u64,

    /// Disk space for packages that are kept for later builds; the least recently used
    /// are removed first
    #[arg(
        long,
        env = "GANTRY_CACHE_DISK",
        value_name = "SIZE",
        default_value = "16GiB",
        value_parser = bytes,
        global = true,
        hide_env_values = true
    )]
    cache_disk: u64,

    /// OCI runtime that sandboxes run with, such as runsc [default: the engine's]
    #[arg(
        long,
        env = "GANTRY_OCI_RUNTIME",
        value_name = "NAME",
        global = true,
        hide_env_values = true
    )]
    oci_runtime: Option<String>,

    /// User ids of sandboxes, as FIRST-LAST: no two sandboxes have the same one at a
    /// time. With 65534 all share that id, and the kernel's quotas per user with it
    /// [default: 60578-61183]
    #[arg(long, env = "GANTRY_UIDS", value_name = "RANGE", global = true, hide_env_values = true)]
    uids: Option<String>,
}

impl Settings {
    /// Data folder of this installation.
    ///
    /// # Errors
    /// A message, if the environment does not name a home folder.
    pub fn data_dir(&self) -> Result<PathBuf, String> {
        let folder = match (&self.data_dir, variable("XDG_DATA_HOME"), variable("HOME")) {
            (Some(folder), _, _) => folder.clone(),
            (None, Some(data), _) => Path::new(&data).join("gantry"),
            (None, None, Some(home)) => Path::new(&home).join(".local/share/gantry"),
            (None, None, None) => {
                return Err("there is no home folder: set GANTRY_DATA_DIR".to_owned());
            }
        };
        std::path::absolute(&folder).map_err(|error| format!("{}: {error}", folder.display()))
    }

    /// Folder in which each container that needs one has its own.
    #[must_use]
    pub fn scratch_dir(&self, data_dir: &Path) -> PathBuf {
        let set = self.scratch_dir.as_ref().filter(|it| !it.as_os_str().is_empty());
        let folder = set.cloned().unwrap_or_else(|| data_dir.join("scratch"));
        // The engine takes absolute paths only. Without a working folder there is none.
        std::path::absolute(&folder).unwrap_or(folder)
    }

    /// Source of the root file systems.
    #[must_use]
    pub fn base(&self) -> BaseSource {
        match self.base_image.as_str() {
            "none" | "" => BaseSource::Bootstrap,
            reference => BaseSource::Registry(reference.to_owned()),
        }
    }

    /// Folders that mounts may come from, with links resolved, without missing ones.
    #[must_use]
    pub fn mount_roots(&self) -> Vec<PathBuf> {
        Self::folders(self.mount_roots.as_deref())
    }

    /// Folders of a list separated by colons, with links resolved, without missing ones.
    fn folders(list: Option<&str>) -> Vec<PathBuf> {
        let folders = list.into_iter().flat_map(|list| list.split(':'));
        let folders = folders.filter(|folder| !folder.is_empty());
        folders.filter_map(|folder| Path::new(folder).canonicalize().ok()).collect()
    }

    /// Shares, by name. Their folders are looked for each time that an execution names one. None
    /// of them may have a folder of the server's own in it, as those of `closed` are, or be in
    /// one.
    ///
    /// # Errors
    /// A message, if one has no name and folder, or would open what nobody may read.
    pub fn shares(&self, closed: &[PathBuf]) -> Result<Shares, String> {
        let data_dir = self.data_dir()?;
        let own = [self.scratch_dir(&data_dir), data_dir];
        let closed = [own.as_slice(), closed].concat();
        let list = self.shares.as_deref().unwrap_or_default();
        shares::read(list, &closed).map_err(|error| format!("GANTRY_SHARES: {error}"))
    }

    /// Users that scripts may run as, beside those of sandboxes.
    ///
    /// # Errors
    /// A message, if one is no user, root, or a sandbox's.
    pub fn owners(&self) -> Result<Vec<User>, String> {
        let list = self.owners.as_deref().unwrap_or_default();
        parse_owners(list, self.uids()?).map_err(|error| format!("GANTRY_OWNERS: {error}"))
    }

    /// Token of the first admin. Only the environment can set it, because everybody on the
    /// machine can see command lines.
    #[must_use]
    pub fn admin_token(&self) -> Option<String> {
        variable("GANTRY_ADMIN_TOKEN")
    }

    /// OCI runtime, if not the engine's default.
    #[must_use]
    pub fn oci_runtime(&self) -> Option<String> {
        self.oci_runtime.clone().filter(|name| !name.is_empty())
    }

    /// User ids of sandboxes.
    ///
    /// # Errors
    /// A message, if the range is invalid.
    pub fn uids(&self) -> Result<UidRange, String> {
        let set = self.uids.as_deref().filter(|text| !text.is_empty());
        let range = set.map_or(Ok(UidRange::DEFAULT), str::parse);
        range.map_err(|error| format!("GANTRY_UIDS: {error}"))
    }

    /// Policy for requirements.
    ///
    /// # Errors
    /// A message, if a word of the list is unknown.
    pub fn requirements_policy(&self) -> Result<RequirementsPolicy, String> {
        let mut policy = RequirementsPolicy::default();
        let words = self.requirements_allow.iter().flat_map(|list| list.split(','));
        for word in words.map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "sources" => policy.allow_sources = true,
                "urls" => policy.allow_urls = true,
                "options" => policy.allow_options = true,
                other => {
                    return Err(format!(
                        "GANTRY_REQUIREMENTS_ALLOW has {other:?}: it knows sources, urls and options"
                    ));
                }
            }
        }
        Ok(policy)
    }

    /// Address of the engine, from the variables of Docker's own clients.
    ///
    /// # Errors
    /// A message, if the address is invalid.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        let verified = variable("DOCKER_TLS_VERIFY").is_some();
        let folder = variable("DOCKER_CERT_PATH")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
        let certificates = folder.filter(|_| verified);
        Endpoint::parse(variable("DOCKER_HOST").as_deref(), certificates)
    }

    /// Settings for installers, from this process's environment.
    ///
    /// # Errors
    /// A message, if a setting is invalid.
    pub fn installer(&self) -> Result<InstallerSettings, String> {
        Ok(InstallerSettings {
            variables: installer_variables(variable),
            ca_bundle: ca_bundle(),
            policy: self.requirements_policy()?,
            disk: BuildDisk { build_bytes: self.build_disk, cache_bytes: self.cache_disk },
        })
    }
}

/// Largest file that is read as a token, in bytes.
const MAX_TOKEN_FILE: u64 = 16 * 1024;

/// Settings of the commands that call a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ClientSettings {
    /// Address of the server
    #[arg(
        long,
        env = "GANTRY_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8700",
        global = true,
        hide_env_values = true
    )]
    url: String,

    /// File that holds the token. Without it the token is read from the variable
    /// GANTRY_TOKEN. There is no flag for the token itself, because everybody on this
    /// machine can see command lines
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl ClientSettings {
    /// Address of the server, as given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Token, if one is set. An empty variable counts as unset.
    ///
    /// # Errors
    /// A message, if the file can't be read.
    pub fn token(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.token_file else {
            return Ok(variable("GANTRY_TOKEN"));
        };
        let shown = path.display();
        let failed = |error: std::io::Error| format!("--token-file {shown}: {error}");
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = String::new();
        file.take(MAX_TOKEN_FILE + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_TOKEN_FILE {
            return Err(format!("--token-file {shown} is too large to be a token"));
        }
        Ok(Some(text))
    }
}

/// Parses a size such as `512MiB`.
fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

/// Value of an environment variable, unless it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// True if this process may use colours on its stderr (no-color.org).
#[must_use]
pub fn is_colour_wanted() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Log filter: `GANTRY_LOG`, or the default for a server or a command. The connection
/// pool's own lines are off, because the code that needs a connection reports failures.
#[must_use]
pub fn log_filter(is_server: bool) -> String {
    let default = if is_server { "info,sqlx_core::pool=off" } else { "warn" };
    variable("GANTRY_LOG").unwrap_or_else(|| default.to_owned())
}

/// True if every log line is a JSON object.
#[must_use]
pub fn is_log_json() -> bool {
    variable("GANTRY_LOG_FORMAT").is_some_and(|format| format == "json")
}

/// Indexes and proxies under the names of both pip and uv.
fn installer_variables(read: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut variables = Vec::<(String, String)>::new();
    let mut set = |name: &str, value: String| {
        if variables.iter().all(|(known, _)| known != name) {
            variables.push((name.to_owned(), value));
        }
    };
    for name in PASSED_ON {
        if let Some(value) = read(name) {
            set(name, value);
        }
    }
    // A tool's own variable takes precedence over its counterpart.
    for (own, _) in INDEX_VARIABLES {
        if let Some(value) = read(own) {
            set(own, value);
        }
    }
    for (from, to) in OLD_INDEX_VARIABLES.into_iter().chain(INDEX_VARIABLES) {
        if let Some(value) = read(from) {
            set(to, value);
        }
    }
    variables
}

/// CA bundle of this machine: a company's own package index or proxy often needs it.
fn ca_bundle() -> Option<PathBuf> {
    let named = ["SSL_CERT_FILE", "PIP_CERT"].into_iter().find_map(variable).map(PathBuf::from);
    named.or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(&str, &str)]) -> Vec<(String, String)> {
        let read = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut variables = installer_variables(read);
        variables.sort();
        variables
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn pip_and_uv_get_the_same_index() {
        let both = pairs(&[("PIP_INDEX_URL", "x"), ("UV_DEFAULT_INDEX", "x")]);
        assert_eq!(variables(&[("PIP_INDEX_URL", "x")]), both);
        assert_eq!(variables(&[("UV_DEFAULT_INDEX", "x")]), both);
    }

    #[test]
    fn a_tools_own_variable_wins() {
        let set = [("PIP_INDEX_URL", "p"), ("UV_DEFAULT_INDEX", "u"), ("UV_INDEX_URL", "old")];
        let expected = pairs(&[("PIP_INDEX_URL", "p"), ("UV_DEFAULT_INDEX", "u")]);
        assert_eq!(variables(&set), expected);
    }

    #[test]
    fn nothing_else_reaches_an_installer() {
        assert_eq!(variables(&[("AWS_SECRET_ACCESS_KEY", "x"), ("PIP_FIND_LINKS", "x")]), []);
    }
}
