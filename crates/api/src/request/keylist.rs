//! What can be asked of the key list in Git.

use super::{BASE, Empty, Parts, empty, json, post, wrong_method};
use crate::error::{ApiError, CliError, Trouble};
use serde::{Deserialize, Serialize};

/// All answer with [`crate::schema::KeyListReport`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyListRequest {
    /// How it stands.
    Status,
    /// Looks now.
    Pull,
    /// Looks now, and does what waits.
    Confirm(KeyListConfirm),
}

/// What was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyListConfirm {
    /// The commit, in full; another one is refused with `state_changed`.
    pub commit: String,
}

impl KeyListRequest {
    pub(super) const WORDS: [&'static str; 3] = ["keylist", "keylist-pull", "keylist-confirm"];

    pub(super) fn to_http(&self) -> Parts {
        match self {
            KeyListRequest::Status => {
                Parts { method: "GET", path: format!("{BASE}keylist"), body: String::new() }
            }
            KeyListRequest::Pull => post("keylist-pull", &Empty {}),
            KeyListRequest::Confirm(body) => post("keylist-confirm", body),
        }
    }

    /// Reads `word` as HTTP has it; `None` if it is not one of ours.
    pub(super) fn from_http(
        method: &str,
        word: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> Option<Result<Self, ApiError>> {
        if !Self::WORDS.contains(&word) {
            return None;
        }
        let needs = if word == "keylist" { "GET" } else { "POST" };
        if method != needs {
            return Some(Err(wrong_method(word, needs)));
        }
        if query.is_some() {
            return Some(Err(CliError::new(
                Trouble::BadRequest,
                "there is nothing to ask with a query here",
            )));
        }
        Some(match word {
            "keylist" => Ok(KeyListRequest::Status),
            "keylist-pull" => empty(body, KeyListRequest::Pull),
            _ => json(body).map(KeyListRequest::Confirm),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ApiRequest;

    #[test]
    fn each_question_reads_back_from_http() {
        let confirm = KeyListConfirm { commit: "a".repeat(40) };
        for request in [KeyListRequest::Status, KeyListRequest::Pull, KeyListRequest::Confirm(confirm)] {
            let request = ApiRequest::KeyList(request);
            let Parts { method, path, body } = request.to_http();
            assert_eq!(request.changes(), method == "POST");
            assert_eq!(ApiRequest::from_http(method, &path, None, body.as_bytes()), Ok(request));
        }
        let refused =
            |method, path| ApiRequest::from_http(method, path, None, b"").expect_err("refused").code;
        assert_eq!(refused("GET", "/api/v1/keylist-pull"), "bad_request");
        assert_eq!(refused("POST", "/api/v1/keylist-confirm"), "bad_request");
        assert!(ApiRequest::from_http("GET", "/api/v1/keylist", Some("a=b"), b"").is_err());
    }
}
