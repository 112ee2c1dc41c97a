//! Form fields: a label, a control, a help text, and the faults of the typed value. The forms of
//! scripts and of executions consist of them. They decide nothing: the parsers of the forms
//! validate.

use maud::{Markup, html};

use crate::http::problem::Problem;
use crate::ui::components::value::counted;

/// Faults of a submission, by field.
#[derive(Debug, Default)]
pub(in crate::ui::pages) struct FieldErrors(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// Id of the field; `None` if the fault has no field.
    field: Option<String>,
    pointer: String,
    detail: String,
}

impl FieldErrors {
    /// Faults of a problem. `field_of` maps a JSON pointer to the id of a field.
    pub(in crate::ui::pages) fn of(
        problem: &Problem,
        field_of: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut entries = Vec::new();
        for (pointer, detail) in problem.faults() {
            let (field, pointer) = (field_of(pointer), pointer.to_owned());
            entries.push(Entry { field, pointer, detail: detail.to_owned() });
        }
        Self(entries)
    }

    /// True if a field has a fault.
    pub(in crate::ui::pages) fn is_at(&self, id: &str) -> bool {
        self.0.iter().any(|it| it.field.as_deref() == Some(id))
    }

    /// True if a field whose id begins with the prefix has a fault.
    pub(in crate::ui::pages) fn is_below(&self, prefix: &str) -> bool {
        self.0.iter().any(|it| it.field.as_deref().is_some_and(|id| id.starts_with(prefix)))
    }

    /// All faults, shown above the form with links to their fields.
    pub(in crate::ui::pages) fn summary(&self) -> Markup {
        let count = self.0.len() as u64;
        html! {
            @if count > 0 {
                div.alert role="alert" {
                    strong { (counted(count, "thing is wrong", "things are wrong")) }
                    ul.faults {
                        @for it in &self.0 {
                            @let place = it.pointer.trim_start_matches('/');
                            li {
                                @if let Some(field) = &it.field {
                                    a href={ "#" (field) } { (place) } ": "
                                } @else if !place.is_empty() {
                                    code { (place) } ": "
                                }
                                (it.detail)
                            }
                        }
                    }
                }
            }
        }
    }

    fn words_at(&self, id: &str) -> Markup {
        html! {
            @for it in self.0.iter().filter(|it| it.field.as_deref() == Some(id)) {
                p { (it.detail) }
            }
        }
    }
}

/// A field: its label and help.
#[derive(Debug, Clone, Copy)]
pub(in crate::ui::pages) struct Field<'a> {
    id: &'a str,
    name: &'a str,
    label: &'a str,
    help: &'a str,
    is_required: bool,
}

/// Attributes of an `input` element.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::ui::pages) struct Input<'a> {
    /// Type of the element.
    pub(in crate::ui::pages) kind: &'a str,
    /// Value.
    pub(in crate::ui::pages) value: &'a str,
    /// Least number.
    pub(in crate::ui::pages) min: Option<&'a str>,
    /// Greatest number.
    pub(in crate::ui::pages) max: Option<&'a str>,
    /// Step of numbers.
    pub(in crate::ui::pages) step: Option<&'a str>,
    /// Most characters.
    pub(in crate::ui::pages) max_length: Option<&'a str>,
    /// Example.
    pub(in crate::ui::pages) placeholder: Option<&'a str>,
}

impl<'a> Field<'a> {
    /// Creates a field whose name is its id.
    pub(in crate::ui::pages) fn new(id: &'a str, label: &'a str, help: &'a str) -> Self {
        Self { id, name: id, label, help, is_required: false }
    }

    /// Sets another name.
    pub(in crate::ui::pages) fn named(self, name: &'a str) -> Self {
        Self { name, ..self }
    }

    /// Marks the field as required or optional.
    pub(in crate::ui::pages) fn required(self, is_required: bool) -> Self {
        Self { is_required, ..self }
    }

    /// Renders an input of one line.
    pub(in crate::ui::pages) fn input(&self, wrong: &FieldErrors, input: Input<'_>) -> Markup {
        self.around(
            wrong,
            &html! {
                input id=(self.id) name=(self.name) type=(input.kind) value=(input.value)
                    min=[input.min] max=[input.max] step=[input.step] maxlength=[input.max_length]
                    placeholder=[input.placeholder] required[self.is_required] autocomplete="off"
                    spellcheck="false" aria-invalid=[self.invalid(wrong)]
                    aria-describedby=[self.described_by(wrong)];
            },
        )
    }

    /// Renders an input of several lines.
    pub(in crate::ui::pages) fn area(&self, wrong: &FieldErrors, rows: u32, value: &str) -> Markup {
        self.around(
            wrong,
            &html! {
                textarea id=(self.id) name=(self.name) rows=(rows) required[self.is_required]
                    autocomplete="off" spellcheck="false" aria-invalid=[self.invalid(wrong)]
                    aria-describedby=[self.described_by(wrong)] {
                    // HTML drops the first line feed of a text area (HTML, 13.1.2.5).
                    "\n" (value)
                }
            },
        )
    }

    /// Renders a choice: values with their labels.
    pub(in crate::ui::pages) fn select(
        &self,
        wrong: &FieldErrors,
        options: &[(&str, &str)],
        chosen: &str,
    ) -> Markup {
        self.around(
            wrong,
            &html! {
                select id=(self.id) name=(self.name) required[self.is_required]
                    aria-invalid=[self.invalid(wrong)] aria-describedby=[self.described_by(wrong)] {
                    @for (value, label) in options {
                        option value=(value) selected[*value == chosen] { (label) }
                    }
                }
            },
        )
    }

    /// Renders a file input.
    pub(in crate::ui::pages) fn file(&self, wrong: &FieldErrors, accept: Option<&str>) -> Markup {
        self.around(
            wrong,
            &html! {
                input id=(self.id) name=(self.name) type="file" required[self.is_required]
                    accept=[accept] aria-invalid=[self.invalid(wrong)]
                    aria-describedby=[self.described_by(wrong)];
            },
        )
    }

    /// Renders a checkbox.
    pub(in crate::ui::pages) fn tick(
        &self,
        wrong: &FieldErrors,
        value: &str,
        is_ticked: bool,
    ) -> Markup {
        html! {
            div.field {
                label.tick for=(self.id) {
                    input id=(self.id) name=(self.name) type="checkbox" value=(value)
                        checked[is_ticked] aria-invalid=[self.invalid(wrong)]
                        aria-describedby=[self.described_by(wrong)];
                    span { (self.label) }
                }
                (self.notes(wrong))
            }
        }
    }

    /// Renders a group of related fields.
    pub(in crate::ui::pages) fn group(
        &self,
        wrong: &FieldErrors,
        is_required: bool,
        fields: &Markup,
    ) -> Markup {
        html! {
            fieldset id=(self.id) aria-describedby=[self.described_by(wrong)] {
                legend {
                    (self.label)
                    @if is_required { " " span.needed { "required" } }
                }
                (self.notes(wrong))
                (fields)
            }
        }
    }

    fn around(&self, wrong: &FieldErrors, control: &Markup) -> Markup {
        html! {
            div.field {
                label for=(self.id) {
                    (self.label)
                    @if self.is_required { " " span.needed { "required" } }
                }
                (control)
                (self.notes(wrong))
            }
        }
    }

    fn notes(&self, wrong: &FieldErrors) -> Markup {
        html! {
            @if wrong.is_at(self.id) {
                div.wrong id={ (self.id) "-wrong" } { (wrong.words_at(self.id)) }
            }
            @if !self.help.is_empty() { p.help id={ (self.id) "-help" } { (self.help) } }
        }
    }

    fn invalid(&self, wrong: &FieldErrors) -> Option<&'static str> {
        wrong.is_at(self.id).then_some("true")
    }

    fn described_by(&self, wrong: &FieldErrors) -> Option<String> {
        let wrong = wrong.is_at(self.id).then(|| format!("{}-wrong", self.id));
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.id));
        let both: Vec<_> = wrong.into_iter().chain(help).collect();
        (!both.is_empty()).then(|| both.join(" "))
    }
}

/// Renders a choice as radio buttons: values with their labels.
pub(in crate::ui::pages) fn radios(
    name: &str,
    legend: &str,
    options: &[(&str, &str)],
    chosen: &str,
) -> Markup {
    html! {
        div.radios role="radiogroup" aria-label=(legend) {
            @for (value, label) in options {
                label.tick {
                    input type="radio" name=(name) value=(value) checked[*value == chosen];
                    span { (label) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Fault;

    #[test]
    fn what_is_wrong_stands_beside_its_field_and_above_all_of_them() {
        let problem = Problem::invalid(vec![Fault::new("/name", "<bad>"), Fault::new("/x", "odd")]);
        let wrong =
            FieldErrors::of(&problem, |pointer| (pointer == "/name").then(|| "name".to_owned()));
        let field = Field::new("name", "Name", "A word.").required(true);
        let shown = field.input(&wrong, Input { kind: "text", value: "\"", ..Input::default() });
        let shown = shown.into_string();
        assert!(shown.contains("value=\"&quot;\""), "{shown}");
        assert!(shown.contains("aria-invalid=\"true\""), "{shown}");
        assert!(shown.contains("aria-describedby=\"name-wrong name-help\""), "{shown}");
        assert!(shown.contains("&lt;bad&gt;"), "{shown}");
        let summary = wrong.summary().into_string();
        assert!(summary.contains("role=\"alert\"") && summary.contains("href=\"#name\""));
        assert!(summary.contains("<code>x</code>"), "{summary}");
    }

    #[test]
    fn nothing_is_said_where_nothing_is_wrong() {
        let wrong = FieldErrors::default();
        assert_eq!(wrong.summary().into_string(), "");
        let shown = Field::new("a", "A", "").area(&wrong, 3, "\nx").into_string();
        assert!(shown.contains(">\n\nx</textarea>"), "{shown}");
        assert!(!shown.contains("aria-"), "{shown}");
    }
}
