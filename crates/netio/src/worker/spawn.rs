//! Starting and stopping the workers.

use super::credit::Allowance;
use super::rank::Priority;
use super::{Engine, Worker, WorkerCounters};
use crate::Clock;
use crate::events::{EventReceiver, EventSender, Failure, event_queues};
use crate::mailbox::{Mail, MailSender, Mailbox, mailbox};
use crate::poll::Poller;
use crate::tun::Tun;
use crate::udp::Udp;
use ln6_overlay_core::forwarder::batch::Batch;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};

/// What a worker works with.
#[derive(Debug)]
pub struct WorkerParts<E> {
    /// Its forwarder.
    pub engine: E,
    /// Its queue of the device; none where there is no device, or where the device has fewer queues than there are workers.
    pub tun: Option<Tun>,
    /// Its socket.
    pub udp: Udp,
}

/// The running workers. Dropping it stops them and waits for them.
#[derive(Debug)]
pub struct Workers {
    mail: Vec<MailSender>,
    counters: Vec<Arc<WorkerCounters>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts a thread for each of `parts`, in the order of the sockets. `begin` is the first thing that each does: capabilities belong to
/// threads, and a worker needs none.
pub fn spawn_workers<E: Engine>(
    parts: Vec<WorkerParts<E>>,
    clock: Clock,
    begin: fn(),
) -> io::Result<(Workers, EventReceiver)> {
    let (events, receiver) = event_queues()?;
    let allowance = Allowance::of(parts.len(), available_parallelism().map_or(1, usize::from));
    let mut workers = Workers { mail: Vec::new(), counters: Vec::new(), threads: Vec::new() };
    for (number, parts) in parts.into_iter().enumerate() {
        let (sender, mailbox) = mailbox()?;
        let worker = Worker::new(number, parts, mailbox, events.clone(), clock, allowance)?;
        let counters = Arc::clone(&worker.counters);
        let thread = Builder::new().name(format!("ln6d-worker-{number}")).spawn(move || {
            begin();
            supervise(worker);
        })?;
        workers.mail.push(sender);
        workers.counters.push(counters);
        workers.threads.push(thread);
    }
    Ok((workers, receiver))
}

/// Runs the worker and tells control if it ends otherwise than by order.
fn supervise<E: Engine>(mut worker: Worker<E>) {
    let (number, events) = (worker.number, worker.events.clone());
    match catch_unwind(AssertUnwindSafe(|| worker.run())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => events.fail(Failure::Poll { worker: number, message: error.to_string() }),
        Err(panic) => events.fail(Failure::Panicked { worker: number, message: words_of(&*panic) }),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

impl<E: Engine> Worker<E> {
    fn new(
        number: usize,
        parts: WorkerParts<E>,
        mailbox: Mailbox,
        events: EventSender,
        clock: Clock,
        allowance: Allowance,
    ) -> io::Result<Self> {
        let WorkerParts { engine, tun, udp } = parts;
        let layout = engine.layout();
        let counters = WorkerCounters {
            tun: tun.as_ref().map(Tun::counters),
            udp: udp.counters(),
            ..WorkerCounters::default()
        };
        let counters = Arc::new(counters);
        let worker = Worker {
            number,
            engine,
            tun,
            udp,
            mailbox,
            events,
            clock,
            poller: Poller::new()?,
            alone: 0,
            priority: Priority::new(clock.now(), allowance, Arc::clone(&counters)),
            counters,
            layout,
            arena: vec![0; layout.len as usize].into_boxed_slice(),
            batch: Batch::with_capacity(),
            reads: Vec::with_capacity(32),
        };
        worker.watch()?;
        Ok(worker)
    }
}

impl Workers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.mail.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mail.is_empty()
    }

    /// The mailbox of each, in order.
    pub fn mail(&self) -> &[MailSender] {
        &self.mail
    }

    /// Sends the same to each.
    pub fn tell(&self, mail: impl Fn() -> Mail) {
        self.mail.iter().for_each(|worker| {
            // One that is gone has told why.
            worker.send(mail());
        });
    }

    /// The counters of each, in order.
    pub fn counters(&self) -> &[Arc<WorkerCounters>] {
        &self.counters
    }

    /// Lets each finish its batch, and waits.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.mail.iter().for_each(|mail| {
            mail.send(Mail::Stop);
        });
        self.threads.drain(..).for_each(|thread| {
            // A panic was reported through the events already.
            let _ = thread.join();
        });
    }
}
