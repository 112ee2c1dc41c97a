//! Finding, pulling, importing, building and removing images.

use std::collections::HashMap;
use std::io;

use bollard::errors::Error;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};

use super::Docker;
use super::resources::BUILD_NETWORK;
use crate::engine::deadline::{self, within};
use crate::engine::{EngineError, LABEL_ROLE, Labels, Verb};

/// Receiver of progress lines.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

const FIND: Verb = Verb::Image("looking for an image");
const LIST: Verb = Verb::Image("listing images");
const PULL: Verb = Verb::Image("pulling an image");
const IMPORT: Verb = Verb::Image("importing a root file system");
const BUILD: Verb = Verb::Image("building an image");
const REMOVE: Verb = Verb::Image("removing an image");

/// An image in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Id: the digest of its configuration.
    pub id: String,
    /// Tags of the image.
    pub tags: Vec<String>,
    /// Labels of the image.
    pub labels: Labels,
    /// Time of creation, in seconds since 1970.
    pub created: i64,
    /// Size in bytes, including layers shared with other images.
    pub bytes: u64,
}

/// Settings of an image to be built.
#[derive(Debug, Clone)]
pub struct ImageBuild {
    /// Build context: a tar with a `Dockerfile` and all that it copies.
    pub context: Bytes,
    /// Values of its `ARG`s. They stay in the image's history, so none may be secret.
    pub arguments: HashMap<String, String>,
    /// Tag of the image.
    pub tag: String,
    /// Labels of the image.
    pub labels: Labels,
}

impl Docker {
    /// Finds the image with this tag or id.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let found = within(FIND, deadline::IMAGE, async {
            let inspecting = self.client.inspect_image(reference).await;
            inspecting.map_err(|error| self.error(FIND, error))
        })
        .await;
        match found {
            Ok(image) => Ok(Some(Image {
                id: image.id.unwrap_or_default(),
                tags: image.repo_tags.unwrap_or_default(),
                labels: image
                    .config
                    .and_then(|config| config.labels)
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                created: image.created.as_deref().map_or(0, seconds_since_1970),
                bytes: image.size.and_then(|it| u64::try_from(it).ok()).unwrap_or_default(),
            })),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists all tagged images with [`LABEL_ROLE`].
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not answer.
    pub async fn our_images(&self) -> Result<Vec<Image>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL_ROLE.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        within(LIST, deadline::IMAGE, async {
            let listing = self.client.list_images(Some(options)).await;
            let images = listing.map_err(|error| self.error(LIST, error))?;
            Ok(images.into_iter().map(listed_image).filter(|it| !it.tags.is_empty()).collect())
        })
        .await
    }

    /// Pulls an image from its registry.
    ///
    /// # Errors
    /// [`EngineError`] when the registry can't be reached or has no such image.
    pub async fn pull(&self, reference: &str, progress: Progress<'_>) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default().from_image(reference).build();
        let pulling = self.client.create_image(Some(options), None, None);
        self.follow(PULL, pulling, |step| {
            // Layers report every few kilobytes; steps worth a line have no progress
            // detail.
            if step.progress_detail.is_none_or(|detail| detail.current.is_none()) {
                progress(&step.status.unwrap_or_default());
            }
        })
        .await
    }

    /// Creates an image from a root file system, a tar.
    ///
    /// # Errors
    /// [`EngineError`] if the engine refuses it, or the stream breaks.
    pub async fn import(
        &self,
        root_file_system: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        tag: &str,
        labels: &Labels,
    ) -> Result<(), EngineError> {
        let (repository, version) = tag.split_once(':').unwrap_or((tag, "latest"));
        let changes = labels.iter().map(|(name, value)| format!("LABEL {name}={value}")).collect();
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(version)
            .changes(changes)
            .build();
        let body = bollard::body_try_stream(root_file_system);
        let importing = self.client.create_image(Some(options), Some(body), None);
        self.follow(IMPORT, importing, |_| ()).await
    }

    /// Builds an image with the engine's builder, on the network for builds.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with the last output of the failed step.
    pub async fn build(
        &self,
        build: ImageBuild,
        progress: Progress<'_>,
    ) -> Result<(), EngineError> {
        let context = build.context;
        let context = stream::once(async move { Ok(context) });
        self.build_from(context, build.arguments, &build.tag, &build.labels, progress).await
    }

    pub(super) async fn build_from(
        &self,
        context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        arguments: HashMap<String, String>,
        tag: &str,
        labels: &Labels,
        progress: Progress<'_>,
    ) -> Result<(), EngineError> {
        let options = BuildImageOptionsBuilder::default()
            .t(tag)
            .buildargs(&arguments)
            .labels(&labels.clone().into_iter().collect())
            .networkmode(BUILD_NETWORK)
            .rm(true)
            .forcerm(true)
            .build();
        let body = bollard::body_try_stream(context);
        let (mut lines, mut tail) = (Lines::default(), LastLines::default());
        let built = self
            .follow(BUILD, self.client.build_image(options, None, Some(body)), |step| {
                if let Some(text) = step.stream {
                    lines.add(&text, |line| {
                        tail.push(line);
                        progress(line);
                    });
                }
            })
            .await;
        built.map_err(|error| match error {
            EngineError::Refused { verb, status, message } => {
                tail.push(&lines.open);
                let message = format!("{message}\n{}", tail.text());
                EngineError::Refused { verb, status, message }
            }
            other => other,
        })
    }

    /// Removes a tag, and the image if it was the last tag. Succeeds if there is none.
    ///
    /// # Errors
    /// [`EngineError`] if a container uses it, or the engine does not answer.
    pub async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().build();
        let removed = within(REMOVE, deadline::IMAGE, async {
            let removing = self.client.remove_image(reference, Some(options), None).await;
            removing.map(|_| ()).map_err(|error| self.error(REMOVE, error))
        })
        .await;
        match removed {
            Err(EngineError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Reads a stream of steps to its end.
    pub(super) async fn follow<Step>(
        &self,
        verb: Verb,
        steps: impl Stream<Item = Result<Step, Error>>,
        mut each: impl FnMut(Step),
    ) -> Result<(), EngineError> {
        within(verb, deadline::IMAGE_BUILD, async {
            let mut steps = Box::pin(steps);
            while let Some(step) =
                steps.try_next().await.map_err(|error| self.error(verb, error))?
            {
                each(step);
            }
            Ok(())
        })
        .await
    }
}

fn seconds_since_1970(date: &str) -> i64 {
    let time = humantime::parse_rfc3339_weak(date).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

fn listed_image(image: bollard::models::ImageSummary) -> Image {
    Image {
        id: image.id,
        tags: image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
        labels: image.labels.into_iter().collect(),
        created: image.created,
        bytes: u64::try_from(image.size).unwrap_or_default(),
    }
}

/// Splits a build's output into lines. The builder passes on fragments as a step writes
/// them: apt writes `E: ` first, and the message later.
#[derive(Debug, Default)]
struct Lines {
    /// Beginning of the unfinished line.
    open: String,
}

impl Lines {
    /// Longest line, in bytes (64 KiB); a longer one is split.
    const LONGEST: usize = 64 * 1024;

    fn add(&mut self, text: &str, mut each: impl FnMut(&str)) {
        self.open.push_str(&without_colors(text));
        while let Some((line, rest)) = self.open.split_once('\n') {
            each(line.trim_end());
            self.open = rest.to_owned();
        }
        if self.open.len() > Self::LONGEST {
            each(&std::mem::take(&mut self.open));
        }
    }
}

/// Removes the control sequences (ECMA-48, 5.4) that the builder puts around a step's
/// stderr.
fn without_colors(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // A sequence ends with the first of these characters.
        let end = piece.find(|c| matches!(c, '@'..='~')).map_or(piece.len(), |at| at + 1);
        plain.push_str(piece.get(end..).unwrap_or_default());
    }
    plain
}

/// Last lines of a build's output, which show the error.
#[derive(Debug, Default)]
struct LastLines(std::collections::VecDeque<String>);

impl LastLines {
    const KEPT: usize = 60;
    const LINE: usize = 500;

    fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line.chars().take(Self::LINE).collect());
    }

    fn text(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for text in
            ["Step 1\n\u{1b}[91mE: \u{1b}[0m", "\u{1b}[91mno such package\n", "\u{1b}[0mopen"]
        {
            lines.add(text, |line| seen.push(line.to_owned()));
        }
        assert_eq!(seen, ["Step 1", "E: no such package"]);
        assert_eq!(lines.open, "open");
    }

    #[test]
    fn colours_are_left_out() {
        assert_eq!(without_colors("\u{1b}[91mE: no\u{1b}[0m"), "E: no");
        assert_eq!(without_colors("a\u{1b}[1;31mb\u{1b}["), "ab");
        assert_eq!(without_colors("[91mplain"), "[91mplain");
    }
}
