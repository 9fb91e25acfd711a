//! The API's description in `docs/reference` is what its words say. `LN6_BLESS=1 cargo test -p ln6-api` writes it anew.

use ln6_api::openapi::{document, page};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn reference(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name)
}

fn same(name: &str, now: &str) {
    let path = reference(name);
    if std::env::var_os("LN6_BLESS").is_some() {
        fs::write(&path, now).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == now, "docs/reference/{name} is stale: LN6_BLESS=1 cargo test -p ln6-api makes it anew");
}

fn pretty() -> String {
    serde_json::to_string_pretty(&document()).expect("json") + "\n"
}

#[test]
fn the_description_in_the_repository_is_what_the_words_say() {
    same("openapi.json", &pretty());
    same("api.md", &page());
}

/// The golden lines hold one of each request with everything that can be asked.
#[test]
fn every_request_is_described_with_all_that_can_be_asked() {
    let document = document();
    let mut known = BTreeSet::new();
    for line in include_str!("../src/request/golden.txt").lines() {
        let mut parts = line.splitn(3, ' ');
        let (method, target) = (parts.next().expect("method"), parts.next().expect("path"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        known.insert((method.to_lowercase(), path.to_owned()));
        let parameters = operation["parameters"].as_array().expect("parameters");
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let key = pair.split_once('=').expect("pair").0;
            assert!(
                parameters.iter().any(|one| one["name"] == key),
                "{method} {path}?{key} is not described"
            );
        }
        let body = parts.next().unwrap_or("{}");
        assert_eq!(operation.get("requestBody").is_some(), body != "{}" && !body.is_empty(), "{path}");
    }
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let there = known.contains(&(method.clone(), path.clone()));
            assert!(there, "nobody can ask {method} {path}");
        }
    }
}

#[test]
fn every_answer_of_the_socket_is_described() {
    let text = pretty();
    // What only the command line prints is no answer of the socket.
    let printed = ["ln6d.wireguard-file/1", "ln6d.setup/1", "ln6d.key/1", "ln6d.page/1"];
    for line in include_str!("../src/schema.rs").lines() {
        let Some(name) = line.split('"').nth(1).filter(|name| name.starts_with("ln6d.")) else { continue };
        if name.ends_with("/1")
            && !printed.contains(&name)
            && !line.contains("//")
            && line.trim().ends_with(',')
        {
            assert!(text.contains(&format!("\"const\": \"{name}\"")), "{name} is not described");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = pretty();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().expect("name");
        assert!(schemas.contains_key(name), "{name} is not there");
    }
    assert!(schemas.len() > 50, "{}", schemas.len());
}
