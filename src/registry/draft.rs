//! New state of a script: the sent fields over the current ones.

use super::bundle::Sought;
use super::faults::Faults;
use super::source::{self, Known, Required, Source};
use super::{RegistrySettings, ScriptInput, bundle, environment, fields, schemas};
use crate::bundles::Packed;
use crate::domain::bundle::{BundleLayer, Manifest};
use crate::domain::environment::EnvironmentSpec;
use crate::domain::fault::Fault;
use crate::domain::job::{JobError, check_exec};
use crate::domain::registry::{Definition, ScriptFields, WarmUpRecord};
use crate::domain::sandbox_spec::Network;
use crate::domain::script::Script;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::Requirements;
use crate::domain::warm_up::WarmUp;
use crate::store::NewEnvironment;

/// A valid script, not yet checked against the engine.
pub(super) struct Draft {
    pub(super) fields: ScriptFields,
    pub(super) definition: Definition,
    pub(super) script: Script,
    pub(super) requirements: Option<Requirements>,
    /// Field that the script's bytes were sent in.
    pub(super) source_pointer: &'static str,
    /// Files of a bundle that may not be kept yet.
    pub(super) packed: Option<Packed>,
}

/// Reads and checks everything. `kept` is the bundle that the input refers to, or the script's own.
/// Reads files and may block: not for an async thread.
pub(super) fn draft(
    mut input: ScriptInput,
    known: Option<Known<'_>>,
    kept: Option<&Manifest>,
    settings: &RegistrySettings,
) -> Result<Draft, Vec<Fault>> {
    let faults = &mut Faults::default();
    let script = known.map(|it| it.script);
    let before = script.map(|it| &it.version.definition);
    let name = fields::name(script.map(|it| &it.name), input.name.as_deref(), faults);
    let description = fields::description(
        script.map(|it| it.description.as_str()),
        input.description.take(),
        faults,
    );
    let script_settings = script.map(|it| it.settings.clone()).unwrap_or_default();
    let script_settings = input.settings(&script_settings, settings, faults);
    let says_what_is_held = input.says_what_is_held();
    let source = match bundle::source(&mut input, known, kept, settings, faults) {
        Sought::Found(source) => Some(*source),
        Sought::Faulty => None,
        Sought::None => source::source(&mut input, known, settings, faults),
    };
    let script_type = input.script_type.or(before.map(|it| it.script_type));
    let script_type = script_type.or(source.as_ref().map(|it| it.script.script_type()));
    let sources = environment::sources(before, input.sources);
    let requirements =
        source::requirements(&mut input, script, script_type, settings, sources, faults);
    // Other faults are reported even without a script.
    let definition = definition(
        input,
        before,
        script_type,
        source.as_ref(),
        requirements.as_ref(),
        settings,
        faults,
    );
    if says_what_is_held {
        faults.keep("/warm", script_settings.check_held(&definition.mounts), |_| None);
    }
    let exec = check_exec(definition.exec, &script_settings.limits);
    faults.keep("/limits/disk_bytes", exec, JobError::hint);
    std::mem::take(faults).into_result()?;
    let (Some(name), Some(source)) = (name, source) else {
        return Err(vec![Fault::new("", "the script is incomplete")]);
    };
    let Source { script, file_path, pointer, bundle } = source;
    let (requirements, requirements_path) = requirements.map(|it| (it.parsed, it.path)).unzip();
    let fields = ScriptFields {
        name,
        description,
        file_path,
        requirements_path: requirements_path.flatten(),
        settings: script_settings,
    };
    let packed = bundle.and_then(|it| it.packed);
    Ok(Draft { fields, definition, script, requirements, source_pointer: pointer, packed })
}

/// Returns the definition that a registration results in, or all faults that are detectable without
/// the database and the engine. For the fuzzers (`tests/fuzz`), which feed it arbitrary input;
/// [`Registry::register`](super::Registry::register) starts the same way.
///
/// # Errors
/// At least one fault, at most 50.
pub fn definition_of(
    input: ScriptInput,
    settings: &RegistrySettings,
) -> Result<Definition, Vec<Fault>> {
    draft(input, None, None, settings).map(|draft| draft.definition)
}

/// The sent value, or the one before; null and nothing are the default.
fn merged<T>(before: Option<T>, sent: Option<Option<T>>, default: T) -> T {
    sent.unwrap_or(before).unwrap_or(default)
}

fn definition(
    input: ScriptInput,
    before: Option<&Definition>,
    script_type: Option<ScriptType>,
    source: Option<&Source>,
    requirements: Option<&Required>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Definition {
    let network = merged(before.map(|it| it.network), input.network, Network::default());
    let exec = merged(before.map(|it| it.exec), input.exec, true);
    let python = environment::python(before, script_type, input.python, faults);
    let working_directory = before.and_then(|it| it.working_directory.as_deref());
    let output_file = before.and_then(|it| it.output_file.as_deref());
    let bundle = source.and_then(|it| it.bundle.as_ref());
    Definition {
        // Irrelevant without a script.
        script_type: script_type.unwrap_or_default(),
        digest: source.map(|it| it.script.digest()).unwrap_or_default(),
        file_name: source.map(|it| it.script.file_name().to_owned()).unwrap_or_default(),
        working_directory: fields::below_work(
            "working_directory",
            working_directory,
            input.working_directory,
            faults,
        ),
        requirements: requirements.map(|it| it.text.clone()),
        requirements_hash: requirements.map(|it| it.parsed.hash()),
        system_packages: fields::system_packages(
            before.map(|it| &it.system_packages),
            input.system_packages,
            faults,
        ),
        argument_schema: schemas::merged(
            "argument_schema",
            before.map(|it| &it.argument_schema),
            input.argument_schema,
            faults,
        ),
        output_schema: schemas::merged(
            "output_schema",
            before.map(|it| &it.output_schema),
            input.output_schema,
            faults,
        ),
        args: fields::arguments(before.map(|it| it.args.as_slice()), input.args, faults),
        env: fields::variables(before.map(|it| &it.env), input.env, faults),
        output_file: fields::below_work("output_file", output_file, input.output_file, faults),
        network,
        mounts: fields::mounts(
            before.map(|it| it.mounts.as_slice()),
            input.mounts,
            settings,
            faults,
        ),
        preload: fields::preload(before, script_type, input.preload, faults),
        runtime: fields::runtime(before.and_then(|it| it.runtime.as_ref()), input.runtime, faults),
        env_allowed: fields::env_allowed(
            before.map(|it| &it.env_allowed),
            input.env_allowed,
            faults,
        ),
        exec,
        python,
        python_of_shebang: environment::python_of_shebang(before, python, source, faults),
        sources: environment::sources_of(requirements, before, input.sources, faults),
        warm_up: environment::warm_up(before, input.warm_up, faults),
        owner: fields::owner(before.and_then(|it| it.owner), input.owner, settings, faults),
        outputs: fields::outputs(before.map(|it| &it.outputs), input.outputs, faults),
        bundle: bundle.map(|it| it.digest),
        entry: bundle.map(|it| it.entry.clone()),
    }
}

impl Draft {
    /// The environment that it needs in addition to its script type's image.
    pub(super) fn environment(&self, type_tag: &str) -> Option<NewEnvironment> {
        let definition = &self.definition;
        let spec = EnvironmentSpec {
            script_type: definition.script_type,
            python: definition.python(),
            packages: definition.system_packages.clone(),
            requirements: self.requirements.clone(),
            warm_up: WarmUp::of(&definition.warm_up, &self.script),
            bundle: definition.bundle.map(|digest| BundleLayer { digest, archive: None }),
        };
        if spec.is_plain() {
            return None;
        }
        let needs_requirements = spec.needed_requirements().is_some();
        Some(NewEnvironment {
            key: spec.key(type_tag),
            script_type: spec.script_type,
            python: spec.needed_python(),
            requirements: definition.requirements.clone().filter(|_| needs_requirements),
            requirements_hash: definition.requirements_hash.clone().filter(|_| needs_requirements),
            sources: definition.sources && needs_requirements,
            warm_up: spec.warm_up.map(|warm_up| WarmUpRecord {
                command: warm_up.command,
                digest: definition.digest.clone(),
                file_name: warm_up.file_name,
                entry: warm_up.entry,
            }),
            bundle: definition.bundle,
            system_packages: spec.packages,
        })
    }
}
