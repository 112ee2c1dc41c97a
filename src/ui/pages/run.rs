//! Page to run a script: a form is generated from its input schema, and the filled-in values become
//! the input. Validation is the same as for the API: only acceptable executions are accepted.

mod assembly;
mod extra;
mod filled;
mod form_view;
mod plan;
mod render;

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::editor::answered;
use super::editor::field::FieldErrors;
use super::editor::lines::normalize_newlines;
use crate::domain::fault::Fault;
use crate::domain::json_input::JsonInput;
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::http::executions::{find, whole};
use crate::http::path::NamedScript;
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::http::submission;
use crate::orchestrator::Submission;
use crate::ui::address::redirect;
use crate::ui::assets::Asset;
use crate::ui::form::{FormFields, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;
use crate::ui::upload_form::UploadForm;
use assembly::assembled;
use extra::Extra;
use filled::Filled;
use form_view::{FormView, OF_FORM, OF_RAW};
use plan::{Part, Plan};

/// Field for the input as JSON, and the mode in which it applies.
const RAW: &str = "raw";

/// Longest earlier input shown in the form, in bytes (256 KiB).
const MAX_AGAIN_BYTES: usize = 256 * 1024;

/// Shows the form.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let asked = asked_version(&state, &script, &fields).await?;
    let version = asked.as_ref().unwrap_or(&script.version);
    let plan = Plan::of(&version.definition.argument_schema);
    let begun = match fields.given("from") {
        Some(id) => InitialForm::again(&state, &user, &script, id, plan.as_ref()).await?,
        None => InitialForm::new(plan.as_ref(), &version.definition.argument_schema),
    };
    let view = FormView {
        user: &user,
        script: &script,
        version,
        is_pinned: asked.is_some(),
        plan: plan.as_ref(),
        filled: &begun.filled,
        raw: &begun.raw,
        is_raw: begun.is_raw,
        fields: &FormFields::default(),
        wrong: &FieldErrors::default(),
        note: begun.note,
    };
    Ok(page(&view))
}

/// Submits an execution.
pub(in crate::ui) async fn submit(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    form: UploadForm,
) -> Result<Response, Problem> {
    let fields = &form.0;
    let asked = asked_version(&state, &script, fields).await?;
    match accepted(&state, &user, &script, asked.clone(), fields).await {
        Ok(id) => Ok(redirect(&format!("/executions/{id}"))),
        Err(problem) if problem.faults().next().is_none() => Err(problem),
        Err(problem) => Ok(refused(&user, &script, asked.as_ref(), fields, &problem)),
    }
}

/// Requested version; `None` means the current one.
async fn asked_version(
    state: &AppState,
    script: &RegisteredScript,
    fields: &FormFields,
) -> Result<Option<ScriptVersion>, Problem> {
    let Some(number) = fields.given("version") else { return Ok(None) };
    let missing = || Problem::not_found("version");
    let number = number.parse::<i64>().map_err(|_| missing())?;
    state.store.version(script.id, number).await?.ok_or_else(missing).map(Some)
}

async fn accepted(
    state: &AppState,
    user: &CurrentUser,
    script: &RegisteredScript,
    asked: Option<ScriptVersion>,
    fields: &FormFields,
) -> Result<Uuid, Problem> {
    let version = asked.as_ref().unwrap_or(&script.version);
    if fields.text("seen") != version.number.to_string() {
        let detail = "the script has another version since this form was opened: look at what it \
             asks for now, and send it again";
        return Err(Problem::new(Kind::Conflict, detail).at(""));
    }
    let mut faults = Vec::new();
    let extra = Extra::read(fields, &mut faults);
    let input = input(&version.definition.argument_schema, fields);
    let input = input.map_err(|wrong| faults.extend(wrong));
    let (Ok(input), true) = (input, faults.is_empty()) else {
        return Err(Problem::invalid(faults));
    };
    let request = Submission {
        version: asked,
        job_id: extra.job_id,
        idempotency_key: fields.once(),
        priority: extra.priority,
        args: extra.args,
        timeout: extra.timeout,
        files: extra.files,
        keep: extra.keep,
        ..submission::submission(&user.identity, script.clone(), input)
    };
    Ok(submission::submit(state, request).await?.id)
}

/// Input from the fields, or as written in JSON.
fn input(schema: &Value, fields: &FormFields) -> Result<JsonInput, Vec<Fault>> {
    let text = match Plan::of(schema).filter(|_| !is_raw(fields)) {
        Some(plan) => assembled(&plan, fields)?,
        None => normalize_newlines(fields.text(RAW)),
    };
    JsonInput::parse(text.into_bytes()).map_err(|error| {
        let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
        vec![Fault::new("/input", format!("{error}{hint}"))]
    })
}

/// True if the input was written as JSON.
fn is_raw(fields: &FormFields) -> bool {
    fields.text("mode") == RAW
}

/// Shows the form again with the typed values and their faults.
fn refused(
    user: &CurrentUser,
    script: &RegisteredScript,
    asked: Option<&ScriptVersion>,
    fields: &FormFields,
    problem: &Problem,
) -> Response {
    let version = asked.unwrap_or(&script.version);
    let plan = Plan::of(&version.definition.argument_schema);
    let is_raw = is_raw(fields);
    let filled = match &plan {
        Some(plan) if is_raw => Filled::of_defaults(plan),
        Some(plan) => Filled::of_fields(plan, fields),
        None => Filled::default(),
    };
    let written = normalize_newlines(fields.text(RAW));
    let view = FormView {
        user,
        script,
        version,
        is_pinned: asked.is_some(),
        plan: plan.as_ref(),
        filled: &filled,
        raw: if is_raw { written.as_str() } else { "{}" },
        is_raw,
        fields,
        wrong: &FieldErrors::of(problem, |pointer| field_of(plan.as_ref(), is_raw, pointer)),
        note: None,
    };
    answered(page(&view), problem.status())
}

/// Id of the field for a pointer into the API's request.
fn field_of(plan: Option<&Plan>, is_raw: bool, pointer: &str) -> Option<String> {
    let first = pointer.strip_prefix('/')?.split('/').next()?;
    match first {
        "input" if is_raw || plan.is_none() => Some(RAW.to_owned()),
        "input" => plan?.nearest(pointer.strip_prefix("/input")?).map(Part::id),
        name if extra::FIELDS.contains(&name) => {
            Some(format!("{}{name}", if is_raw || plan.is_none() { OF_RAW } else { OF_FORM }))
        }
        _ => None,
    }
}

fn page(view: &FormView<'_>) -> Response {
    let title = format!("Run {}", view.script.name);
    layout::page_with(view.user, Section::Scripts, &title, &[Asset::Files], view.shown())
}

/// Initial contents of the form.
#[derive(Debug)]
struct InitialForm {
    filled: Filled,
    raw: String,
    is_raw: bool,
    note: Option<&'static str>,
}

impl InitialForm {
    /// Initial contents from the schema.
    fn new(plan: Option<&Plan>, schema: &Value) -> Self {
        let example = schema.get("examples").and_then(|it| it.get(0)).or(schema.get("default"));
        let pretty = |it: &Value| serde_json::to_string_pretty(it).unwrap_or_default();
        Self {
            filled: plan.map(Filled::of_defaults).unwrap_or_default(),
            raw: example.map_or_else(|| "{}".to_owned(), pretty),
            is_raw: false,
            note: None,
        }
    }

    /// Initial contents from an earlier execution of the same script.
    async fn again(
        state: &AppState,
        user: &CurrentUser,
        script: &RegisteredScript,
        id: &str,
        plan: Option<&Plan>,
    ) -> Result<Self, Problem> {
        let missing = || Problem::not_found("execution");
        let id = Uuid::try_parse(id).map_err(|_| missing())?;
        let summary = find(state, &user.identity, id).await?;
        if summary.script_id != Some(script.id) {
            return Err(missing());
        }
        let whole = whole(state, &user.identity, id).await?;
        let input = whole.execution.input_data.as_ref().map_or("{}", |input| input.get());
        Ok(Self::of_input(plan, input))
    }

    fn of_input(plan: Option<&Plan>, input: &str) -> Self {
        if input.len() > MAX_AGAIN_BYTES {
            let note = Some("The input of that execution is too large to be shown in a form.");
            return Self { note, ..Self::new(plan, &Value::Null) };
        }
        let (filled, is_whole) =
            plan.map_or((Filled::default(), true), |plan| Filled::of_input(plan, input));
        let note = match is_whole {
            true => "The input of an earlier execution stands in the form.",
            false => {
                "The input of an earlier execution stands in the form, but for what the form has \
                 no field for: as JSON it is whole."
            }
        };
        Self { filled, raw: input.to_owned(), is_raw: !is_whole, note: Some(note) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"}, "at": {"type": "object", "properties": {"x": {"type": "integer"}}}
        }})
    }

    #[test]
    fn the_input_is_what_was_filled_in_or_written() {
        let read = |query: &str| input(&schema(), &FormFields::of_query(query));
        assert_eq!(read("f%2Fcity=a").unwrap().as_str(), r#"{"city":"a"}"#);
        assert_eq!(read("mode=raw&raw=%5B1%2C%0D%0A2%5D").unwrap().as_str(), "[1,\n2]");
        assert_eq!(read("").unwrap_err()[0].pointer, "/input/city");
        assert_eq!(read("mode=raw&raw=%7B").unwrap_err()[0].pointer, "/input");
        assert_eq!(read("mode=raw&raw=").unwrap_err()[0].pointer, "/input");
        let open = input(&json!({}), &FormFields::of_query("raw=1.10"));
        assert_eq!(open.unwrap().as_str(), "1.10");
    }

    #[test]
    fn a_pointer_leads_to_a_field_of_the_form_that_was_sent() {
        let plan = Plan::of(&schema());
        let plan = plan.as_ref();
        let x = plan.and_then(|plan| plan.nearest("/at/x")).map(Part::id);
        assert_eq!(field_of(plan, false, "/input/at/x/0"), x);
        assert_eq!(field_of(plan, true, "/input/at/x").as_deref(), Some("raw"));
        assert_eq!(field_of(None, false, "/input").as_deref(), Some("raw"));
        assert_eq!(field_of(plan, false, "/input"), None);
        assert_eq!(field_of(plan, false, "/priority").as_deref(), Some("a-priority"));
        assert_eq!(field_of(plan, true, "/priority").as_deref(), Some("b-priority"));
        assert_eq!(field_of(plan, false, ""), None);
        assert_eq!(field_of(plan, false, "/script"), None);
    }

    #[test]
    fn an_earlier_input_is_whole_as_json() {
        let plan = Plan::of(&schema());
        let begun = InitialForm::of_input(plan.as_ref(), r#"{"city":"a","more":1.10}"#);
        assert!(begun.is_raw && begun.raw.contains("1.10"));
        let begun = InitialForm::of_input(plan.as_ref(), r#"{"city":"a"}"#);
        assert!(!begun.is_raw && begun.filled != Filled::default());
        let large = format!("\"{}\"", "x".repeat(MAX_AGAIN_BYTES));
        assert_eq!(InitialForm::of_input(plan.as_ref(), &large).raw, "{}");
    }
}
