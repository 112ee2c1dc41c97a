//! Files that an execution is to take: found, checked, and held before it is stored.
//!
//! References of a request are frozen to digests. They are held for an hour first; the
//! transaction that stores the execution makes that as long as the execution. So nothing is
//! collected in between, and what a refused request held goes by itself.

mod fields;
mod found;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::submission::{Submission, SubmitError};
use crate::clock;
use crate::domain::execution::{Artifact, FilesSnapshot, SharedInput, State};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::file::{FileDigest, Holder, InputRef};
use crate::domain::input_files::InputFile;
use crate::domain::registry::ScriptVersion;
use crate::domain::sanitize::sanitize;
use crate::domain::token::Role;
use crate::files::{Files, FilesError, Tree};
use crate::shares::Shares;
use crate::store::{FileViewer, Store};
use fields::Fields;
use found::Found;

/// Time for which inputs are held before their execution is stored: far more than that
/// takes.
const HELD_BEFORE: TimeDelta = TimeDelta::hours(1);

/// Finds and holds the inputs of executions.
pub(super) struct Inputs {
    store: Store,
    files: Files,
    shares: Shares,
}

/// Entry of a request, and the place that its faults are told at.
struct Entry<'a> {
    name: &'a str,
    reference: &'a InputRef,
    pointer: String,
}

impl Inputs {
    pub(super) fn new(store: Store, files: Files, shares: Shares) -> Self {
        Self { store, files, shares }
    }

    /// Freezes what a submission refers to.
    ///
    /// # Errors
    /// [`SubmitError`], with the place of each fault.
    pub(super) async fn freeze(
        &self,
        submission: &Submission,
        version: &ScriptVersion,
    ) -> Result<FilesSnapshot, SubmitError> {
        let fields = Fields::find(&version.definition.argument_schema, &submission.input).await;
        let fields = fields.map_err(|fault| SubmitError::Invalid(vec![fault]))?;
        let keep = submission.keep;
        if submission.files.is_empty() && fields.is_empty() {
            return Ok(FilesSnapshot { keep, ..FilesSnapshot::default() });
        }
        let own = fields.own_files(&submission.files)?;
        let sent = submission.files.iter().map(|(name, reference)| {
            let pointer = pointer_to("/files", &sanitize(name));
            Entry { name, reference, pointer }
        });
        let own = own.iter().map(|it| Entry {
            name: &it.name,
            reference: &it.reference,
            pointer: it.pointer.clone(),
        });
        let entries: Vec<_> = sent.chain(own).collect();
        let (inputs, shares) = self.resolve(submission, &entries).await?;
        fields.check(&inputs, &shares)?;
        Ok(FilesSnapshot { inputs, shares, fields: fields.into_fields(), keep })
    }

    /// Holds inputs for an execution that is about to be stored.
    ///
    /// # Errors
    /// [`SubmitError::InputsMissing`] if one was collected meanwhile.
    pub(super) async fn hold(&self, id: Uuid, inputs: &[InputFile]) -> Result<(), SubmitError> {
        if inputs.is_empty() {
            return Ok(());
        }
        let digests: BTreeSet<_> = inputs.iter().map(|it| it.digest).collect();
        let digests: Vec<_> = digests.into_iter().collect();
        let until = clock::now() + HELD_BEFORE;
        match self.files.hold(&digests, &Holder::Execution(id), Some(until)).await {
            Ok(()) => Ok(()),
            Err(FilesError::Missing(gone)) => {
                let gone: BTreeSet<_> = gone.into_iter().collect();
                let gone = inputs.iter().filter(|it| gone.contains(&it.digest));
                let mut found = Found::default();
                gone.for_each(|it| found.miss(pointer_to("/files", &sanitize(&it.name)), "it"));
                found.into_inputs().map(drop)
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn resolve(
        &self,
        submission: &Submission,
        entries: &[Entry<'_>],
    ) -> Result<(Vec<InputFile>, Vec<SharedInput>), SubmitError> {
        let known = self.known(submission, entries).await?;
        let mut left = Left { store: &self.store, scope: &submission.scope, seen: HashMap::new() };
        let mut found = Found::default();
        for entry in entries {
            match entry.reference {
                InputRef::File(digest) => match known.get(digest) {
                    Some(bytes) => found.file(entry.name.to_owned(), *digest, *bytes),
                    None => found.miss(entry.pointer.clone(), entry.reference),
                },
                InputRef::Tree(digest) => match self.tree(*digest, &known).await? {
                    Some(tree) => {
                        for file in tree.into_entries() {
                            let name = format!("{}/{}", entry.name, file.path);
                            found.file(name, file.digest, file.bytes);
                        }
                    }
                    None => found.miss(entry.pointer.clone(), entry.reference),
                },
                InputRef::Output { execution, path } => {
                    let left = left.by(*execution).await?;
                    found.output(entry.name, &entry.pointer, entry.reference, path, &left);
                }
                InputRef::Share { share, path } => {
                    let at = self.shares.resolve(&submission.share_access, share, path).await;
                    found.shared(entry.name, (share, path), at, &entry.pointer);
                }
            }
            found.check_size(&entry.pointer)?;
        }
        let shares = found.take_shares();
        Ok((found.into_inputs()?, shares))
    }

    /// Sizes of the files and manifests that the caller may use.
    async fn known(
        &self,
        submission: &Submission,
        entries: &[Entry<'_>],
    ) -> Result<HashMap<FileDigest, u64>, SubmitError> {
        let digests: BTreeSet<_> = entries
            .iter()
            .filter_map(|it| match it.reference {
                InputRef::File(digest) | InputRef::Tree(digest) => Some(*digest),
                InputRef::Output { .. } | InputRef::Share { .. } => None,
            })
            .collect();
        let digests: Vec<_> = digests.into_iter().collect();
        let viewer = match submission.role {
            Role::Admin | Role::Operator => FileViewer::Everything,
            Role::Runner | Role::Viewer => FileViewer::Token {
                id: submission.caller.token_id,
                scope: submission.scope.clone(),
            },
        };
        Ok(self.store.usable_files(&digests, &viewer, clock::now()).await?)
    }

    async fn tree(
        &self,
        digest: FileDigest,
        known: &HashMap<FileDigest, u64>,
    ) -> Result<Option<Tree>, SubmitError> {
        if !known.contains_key(&digest) {
            return Ok(None);
        }
        self.files.tree(digest).await.map_err(failed)
    }
}

fn failed(error: FilesError) -> SubmitError {
    match error {
        FilesError::Store(error) => SubmitError::Store(error),
        error => SubmitError::Files(Box::new(error)),
    }
}

/// Files of an execution that another one takes.
#[derive(Clone)]
enum Outputs {
    /// There is no such execution, or the caller may not see it.
    Unknown,
    /// It has not ended.
    Pending,
    /// It has left these.
    Left(Arc<Vec<Artifact>>),
}

/// Files that executions have left, each execution read once.
struct Left<'a> {
    store: &'a Store,
    scope: &'a Option<Vec<i64>>,
    seen: HashMap<Uuid, Outputs>,
}

impl Left<'_> {
    async fn by(&mut self, execution: Uuid) -> Result<Outputs, SubmitError> {
        if let Some(seen) = self.seen.get(&execution) {
            return Ok(seen.clone());
        }
        let found = self.store.execution_summary(execution).await?;
        let is_seen = |script: Option<i64>| {
            self.scope.as_ref().is_none_or(|scope| script.is_some_and(|id| scope.contains(&id)))
        };
        let outputs = match found.filter(|it| is_seen(it.script_id)).map(|it| it.status) {
            None => Outputs::Unknown,
            Some(State::Pending | State::Running) => Outputs::Pending,
            Some(State::Ended(_)) => {
                Outputs::Left(Arc::new(self.store.artifacts(execution).await?))
            }
        };
        self.seen.insert(execution, outputs.clone());
        Ok(outputs)
    }
}

/// Fault of the request's own document.
fn invalid(fault: Fault) -> SubmitError {
    SubmitError::Invalid(vec![fault])
}
