//! The broker's side of the status.

use super::lists::used;
use super::{Context, send};
use crate::api::Reply;
use crate::error::ApiError;
use crate::schema::{BrokerSummary, PoolRow};
use ln6_broker::{List, Listed, Refused};
use ln6_registry::{HolderState, HolderView, PoolView};
use ln6_types::Prefix;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// Gives `make` the broker's side of the status.
pub(crate) fn summary(
    context: &Context,
    answer: Answer,
    make: impl FnOnce(Option<BrokerSummary>) -> Reply + Send + 'static,
) {
    let (desk, wall) = (context.desk.clone(), context.wall);
    let pools = move |listed: Result<Listed, Refused>| {
        let pools = match listed {
            Ok(Listed::Pools(pools)) => pools,
            _ => Vec::new(),
        };
        let again = desk.clone();
        let holders = move |listed: Result<Listed, Refused>| {
            let holders = match listed {
                Ok(Listed::Holders(holders)) => holders,
                _ => Vec::new(),
            };
            let last = again.clone();
            let requests = move |listed: Result<Listed, Refused>| {
                let waiting = match listed {
                    Ok(Listed::Requests(list)) => list.len() as u32,
                    _ => 0,
                };
                let invitations = move |listed: Result<Listed, Refused>| {
                    let open = match listed {
                        Ok(Listed::Invitations(list)) => {
                            list.iter().filter(|one| one.state == "open").count() as u32
                        }
                        _ => 0,
                    };
                    send(answer, Ok(make(Some(summed(&pools, &holders, waiting, open)))));
                };
                last.list(wall, List::Invitations, Box::new(invitations));
            };
            again.list(wall, List::Requests, Box::new(requests));
        };
        desk.list(wall, List::Holders { gone: false }, Box::new(holders));
    };
    context.desk.list(wall, List::Pools, Box::new(pools));
}

fn summed(pools: &[PoolView], holders: &[HolderView], waiting: u32, open: u32) -> BrokerSummary {
    let live = |holder: &&HolderView| holder.state == HolderState::Active;
    let prefixes: Vec<Prefix> =
        holders.iter().flat_map(|holder| holder.prefixes.iter().map(|view| view.prefix)).collect();
    let row = |view: &PoolView| {
        let pool = view.pool.prefix;
        let used_ratio = used(pool, prefixes.iter().copied());
        PoolRow { prefix: pool, delegations: view.delegations as u32, used_ratio }
    };
    BrokerSummary {
        pools: pools.iter().map(row).collect(),
        holders: holders.iter().filter(live).count() as u32,
        requests_waiting: waiting,
        invitations_open: open,
    }
}
