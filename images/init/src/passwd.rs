//! The entry of the sandbox's user in `/etc/passwd`, so that it has a name and a home:
//! each sandbox has another user, and images are read-only. In an image the file is a
//! link into the script's own folder, where it is written before anything is started.

use nix::unistd::{Gid, Uid};
use std::fs;
use std::io;
use std::path::Path;

use gantry_init::message::WORK_DIR;

/// The entries of an image, with that of its own `nobody`.
const ENTRIES: &str = "/usr/lib/gantry/passwd";

/// Target of the link `/etc/passwd`. A script's file is never called so: Gantry puts
/// another character in the place of the `@`.
const WRITTEN: &str = "/run/gantry/@passwd";

/// Writes the entries of the image, in which the user of this process is `nobody`. An
/// image without them is not ours, and has a file of its own.
pub(crate) fn name_user() -> io::Result<()> {
    if !Path::new(ENTRIES).exists() {
        return Ok(());
    }
    let entries = fs::read_to_string(ENTRIES)?;
    fs::write(WRITTEN, with_user(&entries, Uid::current(), Gid::current()))
}

fn with_user(entries: &str, uid: Uid, gid: Gid) -> String {
    // The owner of a script's results may be one of the image's own users.
    let has_name = |line: &&str| line.starts_with("nobody:");
    let has_number = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let others = entries.lines().filter(|line| !has_name(line) && !has_number(line));
    let own = format!("nobody:x:{uid}:{gid}:nobody:{WORK_DIR}:/bin/sh");
    others.chain([own.as_str()]).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_who_runs_the_script() {
        let entries = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n\
                       _apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n";
        let expected = "root:x:0:0:root:/root:/bin/bash\n\
                        _apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n\
                        nobody:x:60578:65534:nobody:/work:/bin/sh\n";
        assert_eq!(with_user(entries, Uid::from_raw(60_578), Gid::from_raw(65_534)), expected);
        let owned = "root:x:0:0:root:/root:/bin/bash\nnobody:x:42:100:nobody:/work:/bin/sh\n";
        assert_eq!(with_user(entries, Uid::from_raw(42), Gid::from_raw(100)), owned);
    }
}
