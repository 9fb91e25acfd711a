//! Mail from control to a worker: in order, never blocking, and without a system call while the worker is awake.

use crate::offload::Offload;
use crate::poll::Wake;
use ln6_overlay_core::forwarder::mail::Update;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc;

/// What a worker can be told.
#[derive(Debug)]
pub enum Mail {
    /// For its forwarder.
    Update(Update),
    /// Use (or stop using) what the kernel offers.
    Offload(Offload, bool),
    /// Go before other threads of the machine (or stop doing so).
    Priority(bool),
    /// Finish the batch and end.
    Stop,
}

#[derive(Debug)]
struct Bell {
    asleep: AtomicBool,
    wake: Wake,
}

/// Sends mail to one worker. Cloneable; order is kept per clone.
#[derive(Clone, Debug)]
pub struct MailSender {
    queue: mpsc::Sender<Mail>,
    bell: Arc<Bell>,
}

impl MailSender {
    /// Hands over `mail`; wakes the worker only if it sleeps. `false` when the worker is gone.
    pub fn send(&self, mail: Mail) -> bool {
        let accepted = self.queue.send(mail).is_ok();
        // Pairs with the fence in `prepare_to_sleep`: either the worker sees the mail, or we see it asleep.
        fence(Ordering::SeqCst);
        if self.bell.asleep.load(Ordering::Relaxed) {
            self.bell.wake.signal();
        }
        accepted
    }

    /// [`MailSender::send`] for the forwarder.
    pub fn update(&self, update: Update) -> bool {
        self.send(Mail::Update(update))
    }
}

/// The worker's end.
#[derive(Debug)]
pub struct Mailbox {
    queue: mpsc::Receiver<Mail>,
    /// Taken from the queue while preparing to sleep.
    next: Option<Mail>,
    bell: Arc<Bell>,
}

/// A new mailbox and its first sender.
pub fn mailbox() -> io::Result<(MailSender, Mailbox)> {
    let (sender, queue) = mpsc::channel();
    let bell = Arc::new(Bell { asleep: AtomicBool::new(false), wake: Wake::new()? });
    Ok((MailSender { queue: sender, bell: Arc::clone(&bell) }, Mailbox { queue, next: None, bell }))
}

impl Mailbox {
    /// The next mail, if any. When every sender is gone the last words are [`Mail::Stop`].
    pub fn take(&mut self) -> Option<Mail> {
        if let Some(mail) = self.next.take() {
            return Some(mail);
        }
        match self.queue.try_recv() {
            Ok(mail) => Some(mail),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => Some(Mail::Stop),
        }
    }

    /// Asks senders to ring from now on; `false` if there is mail already, and no reason to sleep.
    pub(crate) fn prepare_to_sleep(&mut self) -> bool {
        self.bell.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.next = self.take();
        self.next.is_none()
    }

    /// The opposite of [`Mailbox::prepare_to_sleep`]; `rung` if the descriptor was seen readable.
    pub(crate) fn awake(&self, rung: bool) {
        self.bell.asleep.store(false, Ordering::Relaxed);
        if rung {
            self.bell.wake.clear();
        }
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.bell.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Poller;

    #[test]
    fn mail_arrives_in_order_however_often_the_worker_sleeps() {
        let (sender, mut mailbox) = mailbox().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(mailbox.raw_fd()).unwrap();
        let control = std::thread::spawn(move || {
            (0..5000u32).for_each(|n| assert!(sender.update(Update::Forget(n))));
            assert!(sender.send(Mail::Stop));
        });
        let mut expected = 0;
        loop {
            match mailbox.take() {
                Some(Mail::Update(Update::Forget(n))) => {
                    assert_eq!(n, expected);
                    expected += 1;
                }
                Some(Mail::Stop) => break,
                Some(other) => panic!("{other:?}"),
                None => {
                    let rung = mailbox.prepare_to_sleep() && poller.wait(-1).unwrap().has(mailbox.raw_fd());
                    mailbox.awake(rung);
                }
            }
        }
        control.join().unwrap();
        assert_eq!(expected, 5000);
    }
}
