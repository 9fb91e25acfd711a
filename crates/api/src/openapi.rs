//! The API described for other people's programs, made from the same words that it speaks: an OpenAPI 3.1 document, and a
//! page for people. Only tests make it; what they make lies in `docs/reference`.

mod page;
mod table;

pub use page::page;

use crate::error::{Exit, Trouble};
use crate::request::ACTOR_HEADER;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use table::{Body, Row, rows};

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for row in rows() {
        let path = format!("/api/v1/{}", row.word);
        let operation = operation(&row, &mut generator);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[row.method.to_lowercase()] = operation;
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ln6d",
            "version": "1",
            "summary": "What a node and its broker answer on the API socket, and what they do for an administrator.",
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "the Unix socket ln6d.sock" }],
        "paths": paths,
        "components": { "schemas": schemas, "parameters": { "Actor": actor() } },
    })
}

const INTRODUCTION: &str = "HTTP/1.1 and JSON on the Unix socket ln6d.sock. The first key of an answer is its schema; fields are \
    only ever added. Units are base units, times are RFC 3339. Root and the daemon's own account may change things; who \
    else can open the socket may read; the page's account asks for somebody whom it names in x-ln6d-actor.";

fn actor() -> Value {
    json!({
        "name": ACTOR_HEADER,
        "in": "header",
        "required": false,
        "description": "For whom the page or a token service asks: admin:NAME or token:NAME. The name goes to the journal.",
        "schema": { "type": "string", "pattern": "^(admin|token):[A-Za-z0-9._@-]{1,64}$" },
    })
}

/// What every refusal looks like.
fn error() -> Value {
    let codes: Vec<&str> = Trouble::ALL.iter().map(|trouble| trouble.code()).collect();
    json!({
        "type": "object",
        "description": "Why not: a stable code, a sentence, and the next step. Codes never change; new ones may come.",
        "required": ["schema", "code", "message"],
        "properties": {
            "schema": { "const": "ln6d.error/1" },
            "code": { "type": "string", "examples": codes },
            "message": { "type": "string" },
            "hint": { "type": ["string", "null"] },
        },
    })
}

fn operation(row: &Row, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = vec![json!({ "$ref": "#/components/parameters/Actor" })];
    parameters.extend(row.query.iter().map(|one| {
        json!({
            "name": one.name, "in": "query", "required": one.required, "description": one.words,
            "schema": (one.schema)(generator),
        })
    }));
    let mut operation = json!({
        "operationId": format!("{}_{}", row.method.to_lowercase(), row.word.replace(['-', '.'], "_")),
        "summary": row.words,
        "tags": [row.tag],
        "parameters": parameters,
        "responses": {
            "200": { "description": "done", "content": content(row, generator) },
            "default": {
                "description": "refused",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            },
        },
    });
    if let Some(body) = row.body {
        operation["requestBody"] = json!({
            "required": row.body_needed,
            "content": { "application/json": { "schema": body(generator) } },
        });
    }
    operation
}

fn content(row: &Row, generator: &mut SchemaGenerator) -> Value {
    match row.answer {
        Body::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Body::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
        Body::Schema(name, make) => {
            let schema = make(generator);
            json!({ "application/json": { "schema": {
                "allOf": [
                    { "type": "object", "required": ["schema"], "properties": { "schema": { "const": name } } },
                    schema,
                ],
            } } })
        }
    }
}

/// The HTTP statuses of refusals, with the exit status of the command line for the same.
fn statuses() -> Vec<(u16, u8, &'static str)> {
    [
        (Exit::Usage, "the request is wrong"),
        (Exit::Denied, "you may not"),
        (Exit::NotFound, "there is no such thing"),
        (Exit::Conflict, "something else holds it, or it has changed meanwhile"),
        (Exit::Failed, "it failed for the reason said"),
        (Exit::Unreachable, "the daemon is stopping"),
        (Exit::NoAnswer, "no answer in time"),
    ]
    .into_iter()
    .map(|(exit, words)| (exit.status(), exit as u8, words))
    .collect()
}
