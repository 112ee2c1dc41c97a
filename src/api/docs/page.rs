//! Renders the page. Every text of the document is escaped.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::openapi::METHODS;

const STYLE: &str = include_str!("page.css");

/// Content security policy of the page: it may only use this style.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The whole page.
pub(super) fn page(document: &Value) -> String {
    let mut page = Page::default();
    let title = escaped(document["info"]["title"].as_str().unwrap_or_default());
    let version = escaped(document["info"]["version"].as_str().unwrap_or_default());
    page.add(&format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} API</title><style>{STYLE}</style></head><body><header>\
         <h1>{title} API <small>{version}</small></h1>"
    ));
    page.prose(&document["info"]["description"]);
    page.add(
        "<p>The whole truth for programs: <a href=\"/api/openapi.json\">openapi.json</a>.</p>",
    );
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    page.contents(document, tags);
    page.add("</header><main>");
    for tag in tags {
        page.section(document, tag);
    }
    page.schemas(document);
    page.add("</main></body></html>\n");
    page.text
}

/// Operations of a tag: path, method, operation.
fn operations<'a>(
    document: &'a Value,
    tag: &'a Value,
) -> impl Iterator<Item = (&'a str, &'static str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| {
            item.get(method).map(|operation| (path.as_str(), method, operation))
        })
    });
    all.filter(move |(_, _, operation)| operation["tags"][0] == tag["name"])
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn add(&mut self, html: &str) {
        self.text.push_str(html);
    }

    /// Renders paragraphs, with text between backticks as code.
    fn prose(&mut self, text: &Value) {
        for paragraph in text.as_str().unwrap_or_default().split("\n\n") {
            if paragraph.trim().is_empty() {
                continue;
            }
            let mut html = String::from("<p>");
            for (index, part) in paragraph.split('`').enumerate() {
                let part = escaped(part);
                let is_code = index % 2 == 1;
                html += &if is_code { format!("<code>{part}</code>") } else { part };
            }
            html += "</p>";
            self.add(&html);
        }
    }

    fn contents(&mut self, document: &Value, tags: &[Value]) {
        self.add("<nav aria-label=\"Contents\">");
        for tag in tags {
            let name = escaped(tag["name"].as_str().unwrap_or_default());
            self.add(&format!("<h2>{name}</h2><ul>"));
            for (_, _, operation) in operations(document, tag) {
                let id = escaped(operation["operationId"].as_str().unwrap_or_default());
                let summary = escaped(operation["summary"].as_str().unwrap_or_default());
                self.add(&format!("<li><a href=\"#{id}\">{summary}</a></li>"));
            }
            self.add("</ul>");
        }
        self.add("</nav>");
    }

    fn section(&mut self, document: &Value, tag: &Value) {
        let name = escaped(tag["name"].as_str().unwrap_or_default());
        self.add(&format!("<section><h2>{name}</h2>"));
        self.prose(&tag["description"]);
        for (path, method, operation) in operations(document, tag) {
            self.operation(path, method, operation);
        }
        self.add("</section>");
    }

    fn operation(&mut self, path: &str, method: &str, operation: &Value) {
        let id = escaped(operation["operationId"].as_str().unwrap_or_default());
        let summary = escaped(operation["summary"].as_str().unwrap_or_default());
        let (path, name) = (escaped(path), method.to_uppercase());
        self.add(&format!(
            "<article id=\"{id}\"><h3>{summary}</h3>\
             <p class=\"route\"><b class=\"{method}\">{name}</b> <code>{path}</code></p>"
        ));
        self.prose(&operation["description"]);
        self.parameters(&operation["parameters"]);
        self.bodies("Body", &operation["requestBody"]["content"]);
        self.add("<h4>Answers</h4><dl>");
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            self.add(&format!("<dt>{}</dt><dd>", escaped(status)));
            self.prose(&response["description"]);
            if !status.starts_with(['4', '5']) {
                self.bodies("", &response["content"]);
            }
            self.add("</dd>");
        }
        self.add("</dl></article>");
    }

    fn parameters(&mut self, parameters: &Value) {
        let Some(parameters) = parameters.as_array().filter(|all| !all.is_empty()) else { return };
        self.add("<h4>Parameters</h4><dl>");
        for parameter in parameters {
            let name = escaped(parameter["name"].as_str().unwrap_or_default());
            let place = escaped(parameter["in"].as_str().unwrap_or_default());
            let kind = escaped(&kind(&parameter["schema"]));
            self.add(&format!("<dt><code>{name}</code> <small>{place}, {kind}</small></dt><dd>"));
            self.prose(&parameter["description"]);
            self.add("</dd>");
        }
        self.add("</dl>");
    }

    fn bodies(&mut self, title: &str, content: &Value) {
        for (media_type, body) in content.as_object().into_iter().flatten() {
            if !title.is_empty() {
                self.add(&format!("<h4>{title}</h4>"));
            }
            let schema = match name_of(&body["schema"]) {
                Some(name) => {
                    let name = escaped(name);
                    format!(": <a href=\"#schema-{name}\">{}</a>", escaped(&kind(&body["schema"])))
                }
                None => String::new(),
            };
            self.add(&format!("<p><small>{}{schema}</small></p>", escaped(media_type)));
            self.example(&body["example"]);
        }
    }

    fn example(&mut self, example: &Value) {
        let text = match example {
            Value::Null => return,
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        self.add(&format!("<pre tabindex=\"0\">{}</pre>", escaped(&text)));
    }

    fn schemas(&mut self, document: &Value) {
        self.add("<section><h2>schemas</h2>");
        for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            let name = escaped(name);
            self.add(&format!("<article id=\"schema-{name}\"><h3>{name}</h3>"));
            self.prose(&schema["description"]);
            if let Some(words) = schema["enum"].as_array() {
                let words: Vec<_> = words.iter().map(|it| escaped(&it.to_string())).collect();
                self.add(&format!("<p>One of <code>{}</code>.</p>", words.join("</code>, <code>")));
            }
            self.add("<dl>");
            for part in schema["allOf"].as_array().into_iter().flatten().chain([schema]) {
                if let Some(other) = name_of(part) {
                    let other = escaped(other);
                    self.add(&format!("<dt>all of <a href=\"#schema-{other}\">{other}</a></dt>"));
                }
                self.properties(part);
            }
            self.add("</dl></article>");
        }
        self.add("</section>");
    }

    fn properties(&mut self, schema: &Value) {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.iter().any(|it| it == name);
            let optional = if is_required { "" } else { ", optional" };
            let (name, kind) = (escaped(name), escaped(&kind(property)));
            self.add(&format!("<dt><code>{name}</code> <small>{kind}{optional}</small></dt><dd>"));
            self.prose(&property["description"]);
            self.add("</dd>");
        }
    }
}

/// Name of the referenced schema, also as one of several or as a list's entry.
fn name_of(schema: &Value) -> Option<&str> {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next();
    }
    let several = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    match several {
        Some(several) => several.iter().find_map(name_of),
        None => schema.get("items").and_then(name_of),
    }
}

/// Kind of value that a schema accepts, in words.
fn kind(schema: &Value) -> String {
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items));
    }
    if let Some(name) = name_of(schema) {
        return name.to_owned();
    }
    let mut words = match &schema["type"] {
        Value::String(word) => word.clone(),
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => "any JSON".to_owned(),
    };
    if let Some(format) = schema["format"].as_str() {
        let _ = write!(words, " ({format})");
    }
    for (bound, said) in [("minimum", "at least"), ("maximum", "at most"), ("default", "default")] {
        if !schema[bound].is_null() {
            let _ = write!(words, ", {said} {}", schema[bound]);
        }
    }
    words
}

/// Escapes text for HTML, between tags and in attributes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_text_of_the_document_becomes_markup() {
        let hostile = "<script>\"'&`<b>`";
        let document = json!({
            "info": {"title": hostile, "version": hostile, "description": hostile},
            "tags": [{"name": hostile, "description": hostile}],
            "paths": {hostile: {"get": {
                "tags": [hostile], "summary": hostile, "operationId": hostile,
                "description": hostile,
                "parameters": [{"name": hostile, "in": hostile, "description": hostile,
                    "schema": {"type": hostile, "format": hostile, "default": hostile}}],
                "requestBody": {"content": {hostile: {"schema": {"$ref": hostile}, "example": hostile}}},
                "responses": {hostile: {"description": hostile}},
            }}},
            "components": {"schemas": {hostile: {"description": hostile, "enum": [hostile],
                "properties": {hostile: {"type": hostile}}}}},
        });
        let page = page(&document);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}
