//! The same for people: `docs/reference/api.md`.

use super::{document, statuses};
use serde_json::Value;
use std::fmt::Write as _;

/// The page, made from the document.
pub fn page() -> String {
    let document = document();
    let mut out = String::from(HEAD);
    let _ = writeln!(out, "\n## Refusals\n\n| status | exit of the command line | |\n|---|---|---|");
    for (status, exit, words) in statuses() {
        let _ = writeln!(out, "| {status} | {exit} | {words} |");
    }
    let empty = serde_json::Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    for (title, method) in [("Questions", "get"), ("Changes", "post")] {
        let _ = writeln!(out, "\n## {title}");
        for (path, operations) in paths {
            if let Some(operation) = operations.get(method) {
                request(&mut out, method, path, operation);
            }
        }
    }
    let _ = writeln!(out, "\n## Schemas");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap_or(&empty) {
        let described = schema["description"].as_str().unwrap_or_default();
        let _ = writeln!(out, "\n### {name}\n\n{}", sentence(described));
        fields(&mut out, schema);
    }
    out
}

const HEAD: &str = "# API

<!-- Made from crates/api by its test `openapi`; LN6_BLESS=1 makes it anew. -->

JSON over HTTP/1.1 on the Unix socket (`/run/ln6d/ln6d.sock`, or `DIR/ln6d.sock` with `--dir`). The same as an OpenAPI 3.1 document:
[openapi.json](openapi.json), `ln6d api openapi`, or `GET /api/v1/openapi.json`.

```sh
curl --unix-socket /run/ln6d/ln6d.sock http://ln6d/api/v1/status
```

The first key of an answer is `schema`; fields are only ever added. Base units, RFC 3339 times. Lists that can be long come in pages of at
most 500 rows. A change may name the `revision` that was looked at as `expect`: if somebody else was faster it is refused with
`state_changed`, and nothing is lost.

Root and the daemon's account may change things; who else can open the socket may read. The account named by `[page] user` asks in
somebody's name, or not at all: `x-ln6d-actor: admin:NAME` or `token:NAME`, which the journal keeps. What decides about exits, brokers,
pools and policy is not carried out for those: it is answered with `\"done\": \"kept\"` and a code, and carried out by
`ln6d confirm CODE` on the machine, within 15 minutes.
";

fn sentence(text: &str) -> String {
    text.replace('\n', " ").replace("[`crate::schema::", "`").replace("`]", "`")
}

fn request(out: &mut String, method: &str, path: &str, operation: &Value) {
    let words = sentence(operation["summary"].as_str().unwrap_or_default());
    let _ = writeln!(out, "\n### {} {path}\n\n{words}\n", method.to_uppercase());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (Some(name), Some(said)) = (parameter["name"].as_str(), parameter["description"].as_str()) else {
            continue;
        };
        let needed = if parameter["required"] == true { ", needed" } else { "" };
        let _ = writeln!(out, "- `{name}`{needed}: {said}");
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(name) = reference(body) {
        let _ = writeln!(out, "- body: {}", link(&name));
    }
    let content = &operation["responses"]["200"]["content"];
    let answer = &content["application/json"]["schema"];
    let answer = match answer["allOf"].as_array().map(Vec::as_slice) {
        Some([named, schema]) => {
            let schema = reference(schema).map(|name| link(&name)).unwrap_or_default();
            format!("{schema} (`{}`)", named["properties"]["schema"]["const"].as_str().unwrap_or_default())
        }
        _ => match answer["properties"]["schema"]["const"].as_str() {
            Some(name) => format!("`{name}`"),
            None if content.get("text/plain").is_some() => "text".to_owned(),
            None => "JSON".to_owned(),
        },
    };
    let _ = writeln!(out, "- answer: {answer}");
}

fn reference(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.rsplit('/').next().map(str::to_owned)
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn fields(out: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let needed: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(out, "\n| field | type | |\n|---|---|---|");
    for (name, field) in properties {
        let mark = if needed.contains(&name.as_str()) { "" } else { "?" };
        let words = sentence(field["description"].as_str().unwrap_or_default());
        let _ = writeln!(out, "| `{name}`{mark} | {} | {words} |", kind(field));
    }
}

/// A type in a few letters.
fn kind(field: &Value) -> String {
    if let Some(name) = reference(field) {
        return link(&name);
    }
    if let Some(any) = field["anyOf"].as_array() {
        let all: Vec<String> = any.iter().map(kind).filter(|kind| kind != "null").collect();
        return all.join(" or ");
    }
    match &field["type"] {
        Value::String(word) if word == "array" => {
            field.get("items").map_or_else(|| "list".to_owned(), |items| format!("list of {}", kind(items)))
        }
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            let words: Vec<&str> =
                words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect();
            words.join(" or ")
        }
        _ => field.get("const").map_or_else(String::new, |value| format!("`{value}`")),
    }
}
