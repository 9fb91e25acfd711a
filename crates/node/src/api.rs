//! The API: JSON over HTTP/1.1 on a Unix socket, for root and the daemon's own account to change, for its group to read.

mod server;

#[cfg(feature = "broker")]
pub use ln6_api::OPENAPI;
pub use ln6_api::request::*;
pub use server::{Access, bind, serve, serve_metrics};

use crate::error::ApiError;
use crate::schema::Schema;
use std::future::Future;

/// What answers the requests: the daemon.
pub trait Service {
    /// Carries one request out. That `who` may ask it was checked already.
    fn call(&self, who: Caller, request: ApiRequest) -> impl Future<Output = Result<Reply, ApiError>>;
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Somebody at the machine: root, or the daemon's account. Or anyone who only reads.
    Machine,
    /// Somebody whom the page knows, or a token.
    For(ActingFor),
}

/// A good answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A JSON document whose first key is its schema.
    Json(String),
    /// Plain text: the metrics.
    Text(String),
}

impl Reply {
    /// The JSON form of a response.
    pub fn of(body: impl Schema) -> Self {
        Reply::Json(body.to_json())
    }
}
