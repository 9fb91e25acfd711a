//! The broker's side of the status.

use super::{Context, send};
use crate::api::Reply;
use crate::error::ApiError;
use crate::schema::{BrokerSummary, PoolRow};
use ln6_broker::{List, Listed, Refused};
use ln6_registry::{PoolView, Summary};
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// Gives `make` the broker's side of the status; an empty one of a registry that does not answer now.
pub(crate) fn summary(
    context: &Context,
    answer: Answer,
    make: impl FnOnce(Option<BrokerSummary>) -> Reply + Send + 'static,
) {
    let summed = move |listed: Result<Listed, Refused>| {
        let summary = match listed {
            Ok(Listed::Summary(summary)) => summary,
            _ => Summary { pools: Vec::new(), holders: 0, requests: 0, invitations: 0 },
        };
        send(answer, Ok(make(Some(told(&summary)))));
    };
    context.desk.list(context.wall, List::Summary, Box::new(summed));
}

fn told(summary: &Summary) -> BrokerSummary {
    let row = |view: &PoolView| PoolRow {
        prefix: view.pool.prefix,
        delegations: view.delegations as u32,
        used_ratio: view.share,
    };
    BrokerSummary {
        pools: summary.pools.iter().map(row).collect(),
        holders: summary.holders as u32,
        requests_waiting: summary.requests as u32,
        invitations_open: summary.invitations as u32,
    }
}
