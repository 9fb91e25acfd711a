//! Writes the node's state on a thread of its own: one fsync must not delay a handshake.

use crate::error::CliError;
use crate::files::state::{self, Blob, StoredState};
use ln6_overlay_core::control::message::{Item, ItemKind};
use ln6_overlay_core::control::{NodeState, StoreId};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use tokio::sync::mpsc::UnboundedSender;

/// What became of a write.
pub(crate) enum Stored {
    /// It is on disk.
    Done(StoreId),
    /// It is not.
    Failed(Box<CliError>),
}

/// Hands states to the thread.
pub(crate) struct Store {
    queue: Option<mpsc::Sender<(StoreId, Box<NodeState>)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Store {
    /// Starts the thread; results come by `results`.
    pub(crate) fn start(path: PathBuf, results: UnboundedSender<Stored>) -> std::io::Result<Self> {
        let (queue, states) = mpsc::channel::<(StoreId, Box<NodeState>)>();
        let write = move || {
            while let Ok((id, state)) = states.recv() {
                let stored = match state::store(&path, &to_stored(*state)) {
                    Ok(()) => Stored::Done(id),
                    Err(error) => Stored::Failed(Box::new(error)),
                };
                // The loop may be over already; what is left is still written.
                let _ = results.send(stored);
            }
        };
        let thread = thread::Builder::new().name("ln6d-store".into()).spawn(write)?;
        Ok(Store { queue: Some(queue), thread: Some(thread) })
    }

    /// Writes `state` soon.
    pub(crate) fn write(&self, id: StoreId, state: Box<NodeState>) {
        if let Some(queue) = &self.queue {
            // The thread ends only with us.
            let _ = queue.send((id, state));
        }
    }
}

impl Drop for Store {
    /// Everything handed over is written before the process ends.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As it is written: an item is its kind and its octets.
pub(crate) fn to_stored(state: NodeState) -> StoredState {
    let blob = |item: &Item| Blob([&[item.kind.number()], &item.bytes[..]].concat());
    StoredState {
        items: state.items.iter().map(blob).collect(),
        cache: state.cache,
        stamp_ceiling: state.stamp_ceiling,
        seqno_ceiling: state.seqno_ceiling,
        record_counter: state.record_counter,
        time_floor: state.time_floor,
        refusal: state.refusal,
    }
}

/// As control wants it; items of unknown kinds (of a later version) are left out.
pub(crate) fn from_stored(state: StoredState) -> NodeState {
    let item = |Blob(bytes): Blob| {
        let (kind, bytes) = bytes.split_first()?;
        Some(Item { kind: ItemKind::from_number(*kind)?, bytes: bytes.into() })
    };
    NodeState {
        items: state.items.into_iter().filter_map(item).collect(),
        cache: state.cache,
        stamp_ceiling: state.stamp_ceiling,
        seqno_ceiling: state.seqno_ceiling,
        record_counter: state.record_counter,
        time_floor: state.time_floor,
        refusal: state.refusal,
    }
}
