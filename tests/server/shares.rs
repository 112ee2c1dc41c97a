//! Shares of the host in executions: read where they lie, by whoever has them, and not beyond.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::testkit::server::{Server, server};

/// Two customers' folders in the share `media`.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["media", "media/film3", "media/film3/reels", "media/film"] {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, content) in
            [("film3/17.mov", "seventeen"), ("film3/reels/1", "one"), ("film/1.mov", "another's")]
        {
            let path = folder.path().join("media").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        symlink("../film/1.mov", folder.path().join("media/film3/link")).unwrap();
        Self { folder }
    }

    fn server(&self) -> Server {
        let media = self.folder.path().join("media");
        server().env("GANTRY_SHARES", format!("media={}", media.display())).start()
    }
}

/// Submits an execution as a token, and waits for its end.
async fn run(server: &Server, token: &str, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(server.url("/api/v1/executions")).bearer_auth(token);
    let answer = request.header("prefer", "wait=120").json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn token(server: &Server, name: &str, shares: &Value) -> String {
    let body = json!({"name": name, "role": "runner", "shares": shares});
    let (status, made) = server.post("/api/v1/admin/tokens", &body).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

/// Shows what there is, tries to change it, and to get elsewhere.
const LOOK: &str = "cd /work/in; find . -type f ! -name '.gantry*' | sort | while read -r file; do
  printf '%s=%s\\n' \"$file\" \"$(cat \"$file\")\"; done
for path in plate.mov clips clips/17.mov; do
  { echo x > $path; rm -rf $path; chmod 777 $path; } 2> /dev/null; done
cat clips/link 2> /dev/null && echo leaked; mkdir new 2> /dev/null && echo written
ls | wc -l
";

#[tokio::test]
async fn a_file_and_a_folder_are_read_where_they_lie_and_can_not_be_changed() {
    let host = Host::new();
    let server = host.server();
    server.register("look", "shell", LOOK, json!({})).await;
    let film3 = token(&server, "film3", &json!(["media/film3"])).await;
    let files = json!({"plate.mov": "share:media/film3/17.mov", "clips": "share:media/film3",
        "deep/er/reels": "share:media/film3/reels"});
    let (status, execution) =
        run(&server, &film3, &json!({"script": "look", "files": files})).await;
    assert_eq!(status, 200, "{execution:#}");
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let printed = "./clips/17.mov=seventeen\n./clips/reels/1=one\n./deep/er/reels/1=one\n\
                   ./plate.mov=seventeen\n3\n";
    assert_eq!(execution["stdout_log"], printed, "{execution:#}");
    assert_eq!(execution["sandbox"]["warm"], false);
    let seventeen = host.folder.path().join("media/film3/17.mov");
    assert_eq!(fs::read_to_string(seventeen).unwrap(), "seventeen");
}

#[tokio::test]
async fn nobody_reads_what_his_token_does_not_open() {
    let host = Host::new();
    let server = host.server();
    server.register("look", "shell", LOOK, json!({})).await;
    let film3 = token(&server, "film3", &json!(["media/film3"])).await;
    let none = token(&server, "none", &json!([])).await;
    for (token, reference, words) in [
        (&film3, "share:media/film/1.mov", "is not open to this token"),
        (&film3, "share:media", "is not open to this token"),
        (&film3, "share:media/film30", "is not open to this token"),
        (&film3, "share:stock/a", "is not open to this token"),
        (&none, "share:media/film3/17.mov", "is not open to this token"),
        (&film3, "share:media/film3/link", "is a link"),
        (&film3, "share:media/film3/link/1.mov", "is a link"),
        (&film3, "share:media/film3/18.mov", "does not exist"),
        (&film3, "share:media/film3/../film/1.mov", "`..`"),
    ] {
        let body = json!({"script": "look", "files": {"a": reference}});
        let (status, problem) = run(&server, token, &body).await;
        assert_eq!(status, 422, "{reference}: {problem:#}");
        let detail = problem["errors"][0]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{reference}: {problem:#}");
        assert!(!problem.to_string().contains(host.folder.path().to_str().unwrap()));
    }
}

#[tokio::test]
async fn a_share_may_have_nothing_of_the_servers_own() {
    let builder = server();
    let folder = builder.folder().display().to_string();
    let (code, said) = builder.env("GANTRY_SHARES", format!("all={folder}")).refused();
    assert_ne!(code, 0);
    assert!(said.contains("GANTRY_SHARES") && said.contains("the server keeps"), "{said}");
}
