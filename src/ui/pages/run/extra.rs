//! Options of an execution besides its input: job, timeout, priority, arguments and files.

use maud::{Markup, html};

use crate::domain::execution::{NewExecution, Priority};
use crate::domain::fault::Fault;
use crate::domain::input_files::{RequestFiles, SentFiles};
use crate::domain::keep::Keep;
use crate::domain::limits::Timeout;
use crate::domain::quantities::show_duration;
use crate::domain::registry::RegisteredScript;
use crate::ui::form::FormFields;
use crate::ui::pages::editor::field::{Field, FieldErrors, Input};
use crate::ui::pages::editor::lines::{entries, lines, normalize_newlines};
use crate::ui::upload_form::UPLOAD;

/// Fields, by their names in the API.
pub(super) const FIELDS: [&str; 6] =
    ["job_id", "timeout_secs", "priority", "args", "files", "keep"];

/// Options besides the input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) job_id: Option<String>,
    pub(super) timeout: Option<Timeout>,
    pub(super) priority: Priority,
    pub(super) args: Vec<String>,
    pub(super) files: RequestFiles,
    pub(super) keep: Option<Keep>,
}

impl Extra {
    /// Reads the options, and adds faults for unreadable ones.
    pub(super) fn read(fields: &FormFields, faults: &mut Vec<Fault>) -> Self {
        let mut extra = Self::default();
        let mut fault = |name: &str, detail: String| faults.push(Fault::new(name, detail));
        if let Some(job_id) = fields.given("job_id") {
            match NewExecution::check_job_id(job_id) {
                Ok(()) => extra.job_id = Some(job_id.to_owned()),
                Err(error) => fault("/job_id", error.to_string()),
            }
        }
        if let Some(seconds) = fields.given("timeout_secs") {
            match seconds.parse::<f64>().map(Timeout::try_from) {
                Ok(Ok(timeout)) => extra.timeout = Some(timeout),
                Ok(Err(error)) => fault("/timeout_secs", error.to_string()),
                Err(_) => fault("/timeout_secs", "it is not a number".to_owned()),
            }
        }
        if let Some(priority) = fields.given("priority") {
            match priority.parse::<i64>().map(Priority::new) {
                Ok(Ok(priority)) => extra.priority = priority,
                Ok(Err(error)) => fault("/priority", error.to_string()),
                Err(_) => fault("/priority", "it is not a whole number".to_owned()),
            }
        }
        match entries(&normalize_newlines(fields.text("args"))) {
            Ok(args) => extra.args = args,
            Err(wrong) => wrong.into_iter().for_each(|words| fault("/args", words)),
        }
        if let Some(keep) = fields.given("keep") {
            match keep.parse() {
                Ok(keep) => extra.keep = Some(keep),
                Err(error) => fault("/keep", error.to_string()),
            }
        }
        match files(&normalize_newlines(fields.text("files"))) {
            Ok(files) => extra.files = files,
            Err(wrong) => faults.extend(wrong),
        }
        extra
    }
}

/// Files, one a line: a name, `=`, and a reference.
fn files(text: &str) -> Result<RequestFiles, Vec<Fault>> {
    let mut sent = Vec::new();
    for (number, line) in lines(text) {
        let Some((name, reference)) = line.split_once('=') else {
            let detail = format!("line {number} is not NAME=REFERENCE");
            return Err(vec![Fault::new("/files", detail)]);
        };
        sent.push((name.trim().to_owned(), reference.trim().to_owned()));
    }
    SentFiles::of(sent).check("/files")
}

/// Renders the fields with the typed values. `prefix` keeps their ids apart from another form's.
pub(super) fn shown(
    prefix: &str,
    fields: &FormFields,
    wrong: &FieldErrors,
    script: &RegisteredScript,
) -> Markup {
    let ids = FIELDS.map(|name| format!("{prefix}{name}"));
    let [job_id, timeout, priority, args, files, keep] = &ids;
    let is_open = FIELDS.iter().any(|name| fields.given(name).is_some()) || wrong.is_below(prefix);
    let most = script.settings.timeout_secs.duration();
    let limit = most.as_secs_f64().to_string();
    let help = format!("At most what the script has: {}.", show_duration(most));
    let text = |kind, name| Input { kind, value: fields.text(name), ..Input::default() };
    html! {
        details.card.more open[is_open] {
            summary { "More" }
            div.fields {
                div.fields.two {
                    (Field::new(job_id, "Job", "What it is for; all executions of a job stand together.")
                        .named("job_id")
                        .input(wrong, Input { max_length: Some("200"), ..text("text", "job_id") }))
                    (Field::new(timeout, "Time, in seconds", &help).named("timeout_secs").input(wrong,
                        Input {
                            min: Some("0.1"), max: Some(&limit), step: Some("any"),
                            ..text("number", "timeout_secs")
                        }))
                    (Field::new(priority, "Priority", "From -10 to 10: greater ones run first.")
                        .named("priority").input(wrong, Input {
                            min: Some("-10"), max: Some("10"), step: Some("1"), placeholder: Some("0"),
                            ..text("number", "priority")
                        }))
                }
                (Field::new(args, "Arguments", "One a line, behind the script's own.").named("args")
                    .area(wrong, 2, &normalize_newlines(fields.text("args"))))
                (Field::new(files, "Files", "One a line: a name below /work/in, =, and \
                    sha256:…, tree:sha256:…, execution:ID/PATH or share:NAME/PATH.").named("files")
                    .area(wrong, 2, &normalize_newlines(fields.text("files"))))
                input type="file" name=(UPLOAD) multiple aria-label="Choose files for the execution";
                (Field::new(keep, "Kept", "How long the files that it leaves are kept, such as \
                    7d; none, or job. Otherwise as long as the execution.").named("keep")
                    .input(wrong, text("text", "keep")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (Extra, Vec<Fault>) {
        let mut faults = Vec::new();
        let extra = Extra::read(&FormFields::of_query(query), &mut faults);
        (extra, faults)
    }

    #[test]
    fn what_is_empty_is_not_said() {
        assert_eq!(
            read("job_id=&timeout_secs=+&priority=&args=&files=&keep="),
            (Extra::default(), Vec::new())
        );
    }

    #[test]
    fn everything_can_be_said() {
        let (extra, faults) = read("job_id=j&timeout_secs=1.5&priority=-3&args=-v%0D%0Aa+b");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(extra.job_id.as_deref(), Some("j"));
        assert_eq!(extra.timeout.map(Timeout::as_millis), Some(1_500));
        assert_eq!((extra.priority.value(), extra.args), (-3, vec!["-v".into(), "a b".into()]));
        let (extra, faults) = read("files=a.mov+%3D+share:m/x%3D1%0D%0A&keep=7d");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(extra.files.find("a.mov").unwrap().to_string(), "share:m/x=1");
        assert_eq!(extra.keep.unwrap().to_string(), "604800s");
    }

    #[test]
    fn what_can_not_be_read_is_said_where_it_stands() {
        let (_, faults) = read("job_id=%01&timeout_secs=0&priority=11&args=%22x");
        let pointers: Vec<_> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/job_id", "/timeout_secs", "/priority", "/args"]);
        let (_, faults) = read("timeout_secs=soon&priority=1.5");
        assert_eq!(faults.len(), 2);
        let (_, faults) = read("files=a.mov&keep=ever");
        let pointers: Vec<_> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/keep", "/files"]);
        assert_eq!(read("files=..%2Fa=share:m/x").1[0].pointer, "/files/..~1a");
    }
}
