//! Things to store, as plain as possible.

use chrono::{DateTime, Utc};
use gantry::clock;
use gantry::domain::execution::{
    Caller, ExecutionSnapshot, FilesSnapshot, IdempotencyKey, NewExecution, Priority, Report,
};
use gantry::domain::json_input::JsonInput;
use gantry::domain::limits::{Limits, Timeout};
use gantry::domain::outcome::{Outcome, Status};
use gantry::domain::registry::{
    DeclaredOutputs, Definition, RegisteredScript, ScriptFields, ScriptName, ScriptSettings,
};
use gantry::domain::sandbox_spec::Network;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::preload::Preload;
use gantry::domain::share::ShareGrants;
use gantry::domain::system_packages::SystemPackages;
use gantry::domain::token::{Role, TokenHash};
use gantry::domain::variables::{AllowedVariables, Variables};
use gantry::store::{
    Activation, Claim, NewAuditEntry, NewScript, NewToken, NewVersion, ScriptChange, Store,
    Submitted, VersionChange,
};
use serde_json::json;
use uuid::Uuid;

pub(crate) const NODE: &str = "node-1";

pub(crate) fn now() -> DateTime<Utc> {
    clock::now()
}

pub(crate) fn audit(action: &'static str) -> NewAuditEntry {
    NewAuditEntry {
        at: now(),
        actor: "alice".to_owned(),
        action,
        subject: "script:weather".to_owned(),
        before: None,
        after: Some(json!({ "note": "NUL \u{0} is text, too", "number": 1e16 })),
    }
}

/// A version of a shell script; texts are contents.
pub(crate) fn version(content: &str) -> NewVersion {
    NewVersion {
        definition: Definition {
            script_type: ScriptType::Shell,
            digest: format!("{:064x}", content.len()) + content,
            file_name: "script.sh".to_owned(),
            working_directory: None,
            requirements: None,
            requirements_hash: None,
            system_packages: SystemPackages::default(),
            argument_schema: json!({ "const": "\u{1}\u{fffd}\u{10ffff}", "maximum": 1e300, "minimum": 1e-7 }),
            output_schema: json!(true),
            args: vec!["--loud".to_owned()],
            env: Variables::default(),
            output_file: None,
            outputs: DeclaredOutputs::default(),
            network: Network::None,
            mounts: Vec::new(),
            preload: Preload::Off,
            runtime: None,
            env_allowed: AllowedVariables::default(),
            exec: true,
            python: None,
            python_of_shebang: None,
            sources: false,
            warm_up: Vec::new(),
            owner: None,
            bundle: None,
            entry: None,
        },
        code: content.as_bytes().to_vec(),
        bundle: None,
        environment: None,
    }
}

pub(crate) fn script(name: &str) -> NewScript {
    NewScript {
        fields: ScriptFields {
            name: ScriptName::new(name).unwrap(),
            description: "Tells the weather".to_owned(),
            file_path: Some("/srv/weather.sh".to_owned()),
            requirements_path: Some("/srv/requirements.txt".to_owned()),
            settings: ScriptSettings::default(),
        },
        version: version("first"),
        created_by: "alice".to_owned(),
        created_at: now(),
    }
}

/// A change of nothing.
pub(crate) fn change(script: &RegisteredScript) -> ScriptChange {
    ScriptChange {
        id: script.id,
        seen_at: script.updated_at,
        fields: script.fields(),
        version: VersionChange::Keep,
        activation: Activation::WhenReady,
        changed_by: "bob".to_owned(),
        changed_at: script.updated_at + chrono::TimeDelta::microseconds(1),
    }
}

pub(crate) fn token(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        hash: TokenHash::of(&Uuid::new_v4().to_string()),
        role: Role::Runner,
        scope: None,
        shares: ShareGrants::default(),
        expires_at: None,
        created_by: "alice".to_owned(),
        created_at: now(),
    }
}

pub(crate) async fn registered(store: &Store, name: &str) -> RegisteredScript {
    let id = store.insert_script(&script(name), &audit("script.create")).await.unwrap();
    store.script(id).await.unwrap().unwrap()
}

/// Who submits, and what.
pub(crate) struct Invocations {
    pub(crate) script: RegisteredScript,
    pub(crate) caller: Caller,
}

impl Invocations {
    pub(crate) async fn of(store: &Store, name: &str) -> Self {
        let script = registered(store, name).await;
        let caller = caller(store, &format!("{name}-runner")).await;
        Self { script, caller }
    }

    pub(crate) fn one(&self) -> NewExecution {
        NewExecution {
            id: Uuid::now_v7(),
            script_id: self.script.id,
            version_id: self.script.version.id,
            caller: self.caller.clone(),
            job_id: None,
            idempotency_key: None,
            priority: Priority::default(),
            snapshot: ExecutionSnapshot {
                args: vec!["a".to_owned()],
                env: Variables::default(),
                limits: Limits::default(),
                timeout_secs: Timeout::default(),
                files: FilesSnapshot::default(),
            },
            input: JsonInput::parse(b"{}".to_vec()).unwrap(),
            created_at: now(),
        }
    }

    pub(crate) fn keyed(&self, key: &str, request: u8) -> NewExecution {
        let key = IdempotencyKey::new(key, [request; 32]).unwrap();
        NewExecution { idempotency_key: Some(key), ..self.one() }
    }

    pub(crate) async fn submitted(&self, store: &Store) -> Uuid {
        let new = self.one();
        let id = new.id;
        assert_eq!(store.submit(&[new]).await.unwrap(), [Submitted::New]);
        id
    }
}

pub(crate) async fn caller(store: &Store, name: &str) -> Caller {
    let token_id = store.insert_token(&token(name), &audit("token.create")).await.unwrap();
    Caller { token_id, name: name.to_owned() }
}

/// The claim of a worker; each has a container of its own.
pub(crate) fn a_claim<'a>(id: Uuid, node: &'a str, container: &'a str) -> Claim<'a> {
    let at = now();
    Claim {
        id,
        node,
        container,
        image: "sha256:1",
        warm: true,
        at,
        deadline: at + chrono::TimeDelta::seconds(9),
    }
}

/// Takes an execution; answers with the attempt.
pub(crate) async fn claim(store: &Store, id: Uuid) -> Option<u32> {
    let container = Uuid::new_v4().to_string();
    store.claim(&a_claim(id, NODE, &container)).await.unwrap()
}

pub(crate) fn outcome(status: Status) -> Outcome {
    Outcome { status, error_kind: None, error_message: None, exit_code: None, signal: None }
}

pub(crate) fn report(status: Status) -> Report {
    Report::unstarted(outcome(status), now())
}

/// One that has ended.
pub(crate) async fn ended(store: &Store, invocations: &Invocations) -> Uuid {
    let id = invocations.submitted(store).await;
    claim(store, id).await.unwrap();
    let report = report(Status::Completed);
    assert!(store.finish(id, NODE, 1, std::time::Duration::ZERO, &report).await.unwrap().is_some());
    id
}
