//! Creation of an image from a parent and one more layer, without a container. The image
//! has nothing beyond its parent but the layer; its history and configuration add nothing
//! else.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bollard::models::ImageInspect;
use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;

use super::Docker;
use crate::engine::deadline::{self, within};
use crate::engine::{EngineError, Labels, Verb};

const LAYER: Verb = Verb::Image("adding a layer to an image");

/// Size of the chunks in which a layer is sent, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Settings of an image made of a parent and one layer.
#[derive(Debug, Clone)]
pub struct NewLayer {
    /// Tag or id of the parent.
    pub parent: String,
    /// File of the layer, an uncompressed tar.
    pub tar: PathBuf,
    /// Tag of the image.
    pub tag: String,
    /// Labels of the image, besides those of its parent.
    pub labels: Labels,
}

impl Docker {
    /// Creates an image from its parent and one layer.
    ///
    /// Loading takes a third of the time of a build or commit, because the engine unpacks
    /// the layer once and compares nothing. It relies on the engine's own image store,
    /// which skips layers that it has. With containerd's store, or if loading fails, the
    /// slower builder does the same.
    ///
    /// # Errors
    /// [`EngineError`] if both ways fail.
    pub async fn add_layer(&self, layer: &NewLayer) -> Result<(), EngineError> {
        if !self.describe().await?.containerd_store {
            match self.load_layer(layer).await {
                Err(error) if !error.is_outage() => {
                    tracing::debug!(%error, "failed to load a layer; building the image instead");
                }
                other => return other,
            }
        }
        self.build_layer(layer).await
    }

    async fn load_layer(&self, layer: &NewLayer) -> Result<(), EngineError> {
        let parent = within(LAYER, deadline::IMAGE, async {
            let inspecting = self.client.inspect_image(&layer.parent).await;
            inspecting.map_err(|error| self.error(LAYER, error))
        })
        .await?;
        let archive = prepared(layer, move |layer| load_archive(&parent, layer)).await?;
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let body = bollard::body_try_stream(archive.into_stream(&layer.tar));
        self.follow(LAYER, self.client.import_image(options, body, None), |_| ()).await
    }

    async fn build_layer(&self, layer: &NewLayer) -> Result<(), EngineError> {
        let context = prepared(layer, build_context).await?;
        let context = context.into_stream(&layer.tar);
        // The labels are in the Dockerfile: in the request's URL there is too little room
        // for an environment's labels.
        let (arguments, labels) = (HashMap::new(), Labels::new());
        self.build_from(context, arguments, &layer.tag, &labels, &|_| ()).await
    }
}

/// Prepares the archive on a thread that may block.
async fn prepared(
    layer: &NewLayer,
    prepare: impl FnOnce(&NewLayer) -> io::Result<Archive> + Send + 'static,
) -> Result<Archive, EngineError> {
    let moved = layer.clone();
    let archive = tokio::task::spawn_blocking(move || prepare(&moved)).await;
    archive.map_err(io::Error::other).flatten().map_err(|error| EngineError::Answer {
        verb: LAYER,
        message: format!("{}: {error}", layer.tar.display()),
    })
}

/// A tar around a layer's file, which is not read into memory: the bytes before the
/// file's content, and those after it.
struct Archive {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Archive {
    fn new(small: &[(&str, &[u8])], name: &str, size: u64) -> io::Result<Self> {
        let mut entries = tar::Builder::new(Vec::new());
        for (name, bytes) in small {
            entries.append(&header(name, bytes.len() as u64)?, *bytes)?;
        }
        let mut head = entries.into_inner()?;
        // The end of the archive is replaced by the file.
        head.truncate(head.len().saturating_sub(END_OF_ARCHIVE));
        head.extend_from_slice(header(name, size)?.as_bytes());
        let padding = usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or_default();
        Ok(Self { head, tail: vec![0; padding + END_OF_ARCHIVE] })
    }

    fn into_stream(self, file: &Path) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let piece = |bytes: Vec<u8>| stream::once(async move { Ok(Bytes::from(bytes)) });
        let open = tokio::fs::File::open(file.to_owned());
        let content = stream::once(open)
            .map_ok(|file| ReaderStream::with_capacity(file, CHUNK_BYTES))
            .try_flatten();
        piece(self.head).chain(content).chain(piece(self.tail))
    }
}

/// Size of a tar block, and of the two empty blocks at the end (POSIX, pax).
const BLOCK: u64 = 512;
const END_OF_ARCHIVE: usize = 1024;

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

/// Archive for `docker load` (Docker Image Specification v1.2), without the layers that
/// the engine already has.
fn load_archive(parent: &ImageInspect, layer: &NewLayer) -> io::Result<Archive> {
    let (digest, size) = digest(&layer.tar)?;
    let known = parent.root_fs.clone().and_then(|it| it.layers).unwrap_or_default();
    let diff_ids: Vec<_> = known.iter().chain([&digest]).collect();
    let image = serde_json::to_vec(&json!({
        "created": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "architecture": parent.architecture,
        "os": parent.os,
        "config": with_labels(json!(parent.config), &layer.labels),
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))?;
    let image_name = format!("{}.json", hex::encode(Sha256::digest(&image)));
    let mut layers = vec!["known/layer.tar"; known.len()];
    layers.push("new/layer.tar");
    let manifest = serde_json::to_vec(&json!([
        { "Config": image_name, "RepoTags": [layer.tag], "Layers": layers }
    ]))?;
    let small = [("manifest.json", manifest.as_slice()), (&image_name, image.as_slice())];
    Archive::new(&small, "new/layer.tar", size)
}

fn with_labels(mut config: Value, labels: &Labels) -> Value {
    if let Some(fields) = config.as_object_mut() {
        let known = fields.entry("Labels").or_insert(Value::Null);
        let mut all = known.as_object().cloned().unwrap_or_default();
        all.extend(labels.iter().map(|(name, value)| (name.clone(), json!(value))));
        *known = all.into();
    }
    config
}

fn build_context(layer: &NewLayer) -> io::Result<Archive> {
    let size = std::fs::metadata(&layer.tar)?.len();
    let labels: String = layer.labels.iter().map(label_line).collect();
    let dockerfile = format!("FROM {}\nADD layer.tar /\n{labels}", layer.parent);
    Archive::new(&[("Dockerfile", dockerfile.as_bytes())], "layer.tar", size)
}

/// Formats a label for a Dockerfile; line breaks become spaces.
fn label_line((name, value): (&String, &String)) -> String {
    let quoted = |text: &str| {
        let meant = text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
        meant.replace(['\n', '\r'], " ")
    };
    format!("LABEL \"{}\"=\"{}\"\n", quoted(name), quoted(value))
}

/// SHA-256 of a file, in the form of image digests, and its size in bytes.
fn digest(path: &Path) -> io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut size, mut piece) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((format!("sha256:{}", hex::encode(hash.finalize())), size));
        }
        hash.update(piece.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_kind_are_one_line_each() {
        let line = label_line((&"a".to_owned(), &"say \"$HOME\" \\\nend".to_owned()));
        assert_eq!(line, r#"LABEL "a"="say \"\$HOME\" \\ end""#.to_owned() + "\n");
    }

    #[test]
    fn an_archive_around_a_file_is_a_tar() {
        for size in [0_usize, 1, 511, 512, 513] {
            let archive = Archive::new(&[("small", b"abc")], "large", size as u64).unwrap();
            let content = vec![b'x'; size];
            let whole = [archive.head, content.clone(), archive.tail].concat();
            let mut tar = tar::Archive::new(whole.as_slice());
            let read = tar.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (entry.path().unwrap().display().to_string(), bytes)
            });
            let expected = [("small".to_owned(), b"abc".to_vec()), ("large".to_owned(), content)];
            assert_eq!(read.collect::<Vec<_>>(), expected);
        }
    }
}
