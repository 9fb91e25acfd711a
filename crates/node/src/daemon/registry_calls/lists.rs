//! What the registry is asked, and its answers as the API has them.

use super::{Context, other_list, refused, send};
use crate::api::{self, Prefixes, RegistryRequest, Reply};
use crate::error::{ApiError, CliError, Trouble};
use crate::schema::{
    AuditList, AuditRow, DenialList, DenialRow, HeldRow, HistoryList, HistoryRow, HolderList, HolderReport,
    HolderRow, InvitationList, InvitationRow, KeyRow, PolicyReport, PoolInfo, PoolList, PrefixList,
    PrefixRow, RequestList, RequestRow, ReservationList, ReservationRow, SpaceCell, SpaceReport, Time,
};
use ln6_broker::{Asked, AuditQuery, Audited, HolderCard, List, Listed, Refused};
use ln6_registry::{
    Actor, Admission, Cell, CellState, DelegationState, DenialView, HistoryView, HolderQuery, HolderSort,
    HolderState, InvitationView, KeyState, KeyView, PAGE, Policy, PoolView, PrefixQuery, PrefixSort,
    PrefixView, Purpose, ReservationView, Roles,
};
use ln6_types::UnixTime;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// Rows of a page when nothing is said.
const ROWS: u32 = 100;

/// Asks the desk for a list, and answers with what `make` makes of it.
pub(super) fn ask(
    context: &Context,
    what: List,
    answer: Answer,
    make: impl FnOnce(Listed) -> Result<Reply, ApiError> + Send + 'static,
) {
    let reply = move |listed: Result<Listed, Refused>| send(answer, listed.map_err(refused).and_then(make));
    context.desk.list(context.wall, what, Box::new(reply));
}

macro_rules! listed {
    ($kind:ident, $rows:ident => $make:expr) => {
        |listed| match listed {
            Listed::$kind($rows) => Ok(Reply::of($make)),
            _ => Err(other_list()),
        }
    };
}

fn all<A, B>(rows: Vec<A>, row: impl FnMut(A) -> B) -> Vec<B> {
    rows.into_iter().map(row).collect()
}

/// Questions that are one list of the desk.
pub(super) fn question(context: &Context, request: RegistryRequest, answer: Answer) {
    match request {
        RegistryRequest::Requests => {
            let make = listed!(Requests, rows => RequestList { requests: all(rows, request_row) });
            ask(context, List::Requests, answer, make);
        }
        RegistryRequest::Denials => {
            let make = listed!(Denials, rows => DenialList { denials: all(rows, denial_row) });
            ask(context, List::Denials, answer, make);
        }
        RegistryRequest::Invitations => {
            let make =
                listed!(Invitations, rows => InvitationList { invitations: all(rows, invitation_row) });
            ask(context, List::Invitations, answer, make);
        }
        RegistryRequest::Reservations => {
            let make =
                listed!(Reservations, rows => ReservationList { reservations: all(rows, reservation_row) });
            ask(context, List::Reservations, answer, make);
        }
        RegistryRequest::Space(api::Space { block }) => {
            ask(context, List::Space { block }, answer, listed!(Space, space => space_report(space)));
        }
        RegistryRequest::Pools => pools(context, answer),
        RegistryRequest::Policy => {
            ask(context, List::Policy, answer, listed!(Policy, policy => policy_report(&policy)));
        }
        RegistryRequest::Holders(which) => holders(context, which, answer),
        RegistryRequest::Holder(api::Holder { name }) => {
            let make = listed!(Holder, card => HolderReport { holder: holder_row(*card) });
            ask(context, List::Holder { name }, answer, make);
        }
        RegistryRequest::History(api::History { prefix, at }) => {
            let row = |view: HistoryView| history_row(view);
            let make = move |listed| match listed {
                Listed::History(rows) => Ok(Reply::of(HistoryList { prefix, at, rows: all(rows, row) })),
                _ => Err(other_list()),
            };
            ask(context, List::History { prefix, at: at.map(|at| at.0) }, answer, make);
        }
        RegistryRequest::Audit(which) => audit(context, which, answer),
        _ => send(answer, Err(super::not_yet())),
    }
}

fn holders(context: &Context, which: api::Holders, answer: Answer) {
    let (sort, descending) = match order(which.sort.as_deref(), &HOLDER_SORTS) {
        Ok(order) => order.unwrap_or((HolderSort::Name, false)),
        Err(error) => return send(answer, Err(error)),
    };
    let text = which.text.or_else(|| which.pool.map(|pool| pool.to_string())).unwrap_or_default();
    let query = HolderQuery {
        text,
        gone: false,
        state: which.state,
        sort,
        descending,
        offset: usize::try_from(which.offset).unwrap_or(usize::MAX),
        limit: which.limit.unwrap_or(ROWS) as usize,
    };
    let make = listed!(HolderPage, page => HolderList {
        total: page.total as u64,
        offset: page.offset as u64,
        holders: all(page.rows, holder_row),
    });
    ask(context, List::HolderPage(query), answer, make);
}

const HOLDER_SORTS: [(&str, HolderSort); 5] = [
    ("name", HolderSort::Name),
    ("since", HolderSort::Since),
    ("state", HolderSort::State),
    ("prefix", HolderSort::Prefix),
    ("expiry", HolderSort::Expiry),
];

const PREFIX_SORTS: [(&str, PrefixSort); 5] = [
    ("prefix", PrefixSort::Prefix),
    ("holder", PrefixSort::Holder),
    ("since", PrefixSort::Since),
    ("size", PrefixSort::Size),
    ("state", PrefixSort::State),
];

/// An order by its word, and whether it is backwards.
fn order<T: Copy>(word: Option<&str>, known: &[(&str, T)]) -> Result<Option<(T, bool)>, ApiError> {
    let Some(word) = word else { return Ok(None) };
    let (plain, backwards) = word.strip_prefix('-').map_or((word, false), |plain| (plain, true));
    match known.iter().find(|(name, _)| *name == plain) {
        Some((_, sort)) => Ok(Some((*sort, backwards))),
        None => {
            let words: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            Err(CliError::new(Trouble::BadRequest, "the list cannot be sorted by that")
                .hint(format!("sort is one of {}, with a '-' in front backwards", words.join(", "))))
        }
    }
}

/// Who holds what, by the registry.
pub(crate) fn prefixes(context: &Context, which: Prefixes, answer: Answer) {
    let (sort, descending) = match order(which.sort.as_deref(), &PREFIX_SORTS) {
        Ok(order) => order.unwrap_or((PrefixSort::Prefix, false)),
        Err(error) => return send(answer, Err(error)),
    };
    let query = PrefixQuery {
        text: which.text.unwrap_or_default(),
        state: which.state,
        within: which.pool,
        sort,
        descending,
        offset: usize::try_from(which.offset).unwrap_or(usize::MAX),
        limit: which.limit.map_or(PAGE, |limit| limit as usize),
    };
    let make = listed!(PrefixPage, page => PrefixList {
        total: page.total as u64,
        offset: page.offset as u64,
        prefixes: all(page.rows, prefix_row),
    });
    ask(context, List::PrefixPage(query), answer, make);
}

/// Until when a state lasts, if that is fixed.
fn lasts(state: DelegationState) -> Option<UnixTime> {
    match state {
        DelegationState::Active | DelegationState::Suspended => None,
        DelegationState::Retiring { until }
        | DelegationState::Revoked { until }
        | DelegationState::Quarantined { until, .. } => Some(until),
    }
}

fn prefix_row(view: PrefixView) -> PrefixRow {
    PrefixRow {
        holder: view.holder,
        prefix: view.prefix,
        state: view.state.word().to_owned(),
        keys: view.keys,
        since: Some(Time(view.since)),
        until: lasts(view.state).map(Time),
        id: Some(view.id.to_string()),
        grows_to: Some(view.grows_to),
        named_until: Some(Time(view.named_until)),
    }
}

fn held_row(view: PrefixView) -> HeldRow {
    HeldRow {
        id: view.id.to_string(),
        prefix: view.prefix,
        state: view.state.word().to_owned(),
        since: Time(view.since),
        until: lasts(view.state).map(Time),
        named_until: Time(view.named_until),
        grows_to: view.grows_to,
    }
}

fn key_row(view: KeyView) -> KeyRow {
    let state = match view.state {
        KeyState::Active => "active",
        KeyState::Left => "left",
        KeyState::Lapsed => "lapsed",
        KeyState::Revoked { .. } => "revoked",
        KeyState::Barred => "barred",
    };
    KeyRow {
        key: view.key,
        name: view.name,
        state: state.to_owned(),
        serial: view.serial,
        not_after: view.not_after.map(Time),
        grace_until: view.grace_until.map(Time),
    }
}

/// The words of roles.
pub(super) fn roles(roles: Roles) -> Vec<String> {
    let all = [(roles.broker, "broker"), (roles.exit, "exit"), (roles.transit, "transit")];
    all.into_iter().filter(|(has, _)| *has).map(|(_, word)| word.to_owned()).collect()
}

pub(super) fn holder_row(card: HolderCard) -> HolderRow {
    let HolderCard { view, contact, note } = card;
    let key_ends = view.keys.iter().filter_map(|key| match key.state {
        KeyState::Revoked { until } => Some(until),
        _ => None,
    });
    let undo_until = match view.state {
        HolderState::Revoked { until } => key_ends.max().map(|_| until),
        _ => key_ends.max(),
    };
    HolderRow {
        id: view.id.to_string(),
        name: view.name,
        state: view.state.word().to_owned(),
        roles: roles(view.roles),
        since: Time(view.since),
        revision: view.revision.0,
        keys: all(view.keys, key_row),
        prefixes: all(view.prefixes, held_row),
        contact,
        note,
        bytes_per_second: view.rate,
        undo_until: undo_until.map(Time),
    }
}

/// Shows the notifier who waits.
pub(crate) fn show_requests(
    desk: &ln6_broker::DeskHandle,
    wall: UnixTime,
    way: std::sync::mpsc::SyncSender<(UnixTime, crate::daemon::notify::Look)>,
) {
    let reply = move |listed: Result<Listed, Refused>| {
        if let Ok(Listed::Requests(list)) = listed {
            let rows = list.into_iter().map(request_row).collect();
            // Busy with its program: it is shown again in a minute.
            drop(way.try_send((wall, crate::daemon::notify::Look::Requests(rows))));
        }
    };
    desk.list(wall, List::Requests, Box::new(reply));
}

fn request_row(asked: Asked) -> RequestRow {
    let request = asked.view.request;
    RequestRow {
        id: request.id.to_string(),
        name: Some(request.name),
        name_taken: asked.view.name_taken,
        size: request.size,
        ssid: request.ssid,
        key: request.key,
        proposed: asked.view.proposal.filter(|_| asked.view.proposal_free),
        contact: asked.contact,
        since: Time(request.since),
        revision: asked.view.revision.0,
    }
}

fn denial_row(view: DenialView) -> DenialRow {
    DenialRow {
        request: view.request.as_ref().map(|request| request.id.to_string()),
        name: view.request.map(|request| request.name),
        key: view.key,
        reason: view.reason,
        time: Time(view.at),
        until: Time(view.until),
    }
}

fn invitation_row(view: InvitationView) -> InvitationRow {
    InvitationRow {
        id: view.id.to_string(),
        state: view.state.to_owned(),
        name: view.name,
        size: view.size,
        replaces: matches!(view.purpose, Purpose::Replace(_)),
        expires: Time(view.expires),
        used_by: view.used_by,
    }
}

fn reservation_row(view: ReservationView) -> ReservationRow {
    let kept = view.reservation;
    ReservationRow { prefix: kept.prefix, holder: kept.name, note: kept.note, revision: view.revision.0 }
}

fn history_row(view: HistoryView) -> HistoryRow {
    HistoryRow {
        prefix: view.prefix,
        holder: view.name,
        holder_id: view.holder.to_string(),
        keys: view.keys,
        from: Time(view.from),
        to: view.to.map(Time),
    }
}

fn policy_report(policy: &Policy) -> PolicyReport {
    PolicyReport {
        validity_seconds: policy.validity,
        grace_seconds: policy.grace,
        skew_seconds: policy.skew,
        quarantine_seconds: policy.quarantine,
        revocation_grace_seconds: policy.revocation_grace,
        request_seconds: policy.request_span,
        denial_seconds: policy.denial_span,
        move_seconds: policy.move_span,
        queue: policy.queue,
        queue_per_name: policy.queue_per_name,
    }
}

fn space_report(space: ln6_registry::Space) -> SpaceReport {
    SpaceReport { block: space.block, cells: all(space.cells, space_cell) }
}

fn space_cell(cell: Cell) -> SpaceCell {
    let state = match cell.state {
        CellState::Outside => "outside",
        CellState::Free => "free",
        CellState::Delegated => "delegated",
        CellState::Suspended => "suspended",
        CellState::Revoked => "revoked",
        CellState::Quarantined => "quarantined",
        CellState::Reserved => "reserved",
        CellState::Hosts => "hosts",
        CellState::Partly => "partly",
    };
    SpaceCell {
        prefix: cell.prefix,
        state: state.to_owned(),
        share: cell.share,
        delegations: cell.delegations as u64,
        deeper: cell.state == CellState::Partly && cell.prefix.len() < 128,
        holder: cell.holder,
        inside: cell.inside,
    }
}

/// The word of an admission.
pub(super) fn admission(admission: Admission) -> &'static str {
    match admission {
        Admission::Invitation => "invitation",
        Admission::Queue => "queue",
        Admission::KeyList => "key_list",
    }
}

fn pools(context: &Context, answer: Answer) {
    let make = listed!(Pools, pools => PoolList { pools: all(pools, pool_info) });
    ask(context, List::Pools, answer, make);
}

fn pool_info(view: PoolView) -> PoolInfo {
    let pool = view.pool;
    PoolInfo {
        prefix: pool.prefix,
        admission: admission(pool.admission).to_owned(),
        open: pool.open,
        default: pool.default_len,
        largest: pool.largest,
        smallest: pool.smallest,
        hosts: pool.hosts,
        delegations: u32::try_from(view.delegations).unwrap_or(u32::MAX),
        slots: view.slots,
        free: view.free,
        used_ratio: view.share,
    }
}

fn audit(context: &Context, which: api::Audit, answer: Answer) {
    let query = AuditQuery {
        before: which.before,
        limit: which.limit.unwrap_or(ROWS) as usize,
        holder: which.holder,
        prefix: which.prefix,
        actor: which.actor.map(|actor| actor.replacen(':', " ", 1)),
        kind: which.kind,
        text: which.text,
    };
    let make = listed!(Audit, page => AuditList { rows: all(page.rows, audit_row), next: page.next });
    ask(context, List::Audit(query), answer, make);
}

/// An actor in one word.
fn actor(who: &Actor) -> String {
    match who {
        Actor::Operator => "operator".to_owned(),
        Actor::Admin(name) => format!("admin:{name}"),
        Actor::Token(name) => format!("token:{name}"),
        Actor::KeyList(name) => format!("list:{name}"),
        Actor::Node(key) => format!("node:{key}"),
        Actor::Clock => "clock".to_owned(),
    }
}

fn audit_row(line: Audited) -> AuditRow {
    AuditRow {
        seq: line.seq,
        time: Time(line.at),
        actor: actor(&line.who),
        kind: line.kind.to_owned(),
        message: super::words::sentence(&line.what, line.name.as_deref(), &line.prefixes),
        holder: line.name,
        prefixes: line.prefixes,
        reason: Some(line.reason).filter(|reason| !reason.is_empty()),
    }
}
