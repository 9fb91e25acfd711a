//! Writes the node's state on a thread of its own: one fsync must not delay a handshake.

use crate::files::StateFile;
use ln6_overlay_core::control::{NodeState, StoreId};
use std::sync::mpsc;
use std::thread;
use tokio::sync::mpsc::UnboundedSender;

/// What became of a write.
pub(crate) enum Stored {
    /// It is on disk.
    Done(StoreId),
    /// It is not; the next step is in the text.
    Failed(String),
}

/// Hands states to the thread.
pub(crate) struct Store {
    queue: Option<mpsc::Sender<(StoreId, Box<NodeState>)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Store {
    /// Starts the thread; results come by `results`.
    pub(crate) fn start(file: StateFile, results: UnboundedSender<Stored>) -> std::io::Result<Self> {
        let (queue, states) = mpsc::channel::<(StoreId, Box<NodeState>)>();
        let thread = thread::Builder::new().name("ln6d-store".into()).spawn(move || {
            while let Ok((id, state)) = states.recv() {
                let stored = match file.write(&state) {
                    Ok(()) => Stored::Done(id),
                    Err(error) => Stored::Failed(error.to_string()),
                };
                if results.send(stored).is_err() {
                    break;
                }
            }
        })?;
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
