//! Keeps the kernel, the firewall and the LANs as control wants them, and tells what happens around the node.

use ln6_host::finding::Finding;
use ln6_host::firewall::Firewall;
use ln6_host::interface::InterfaceName;
use ln6_host::kernel::{Kernel, KernelError, TunShape};
use ln6_host::lan::Lans;
use ln6_host::monitor::{HostChange, Monitor};
use ln6_host::netlink::Netlink;
use ln6_host::reconcile::Reconciler;
use ln6_host::uplink::Surroundings;
use ln6_netio::Clock;
use ln6_overlay_core::host_plan::HostPlan;
use tokio::sync::{mpsc, watch};

/// What the task tells the loop.
pub(crate) enum HostNews {
    /// How things are around the node now.
    Surroundings(Box<Surroundings>),
    /// What stands in the way; replaces what was said before.
    Findings(Vec<Finding>),
}

/// The running task.
pub(crate) struct HostTask {
    plans: watch::Sender<Option<HostPlan>>,
    task: tokio::task::JoinHandle<()>,
}

impl HostTask {
    /// Starts it; must be called within a `LocalSet`.
    pub(crate) fn start(
        tun: InterfaceName,
        shape: TunShape,
        clock: Clock,
        kernel: Netlink,
        protocol: u8,
        news: mpsc::UnboundedSender<HostNews>,
    ) -> Result<Self, Box<KernelError>> {
        let (monitor, notices) = Monitor::start(tun.to_string(), protocol).map_err(Box::new)?;
        let (plans, wanted) = watch::channel(None);
        let mut host = Host {
            reconciler: Reconciler::new(kernel, tun.clone(), Some(shape)),
            firewall: Firewall::new(tun),
            lans: Lans::new(move || clock.now()),
            news,
        };
        let task = tokio::task::spawn_local(async move {
            host.serve(wanted, notices).await;
            drop(monitor);
        });
        Ok(HostTask { plans, task })
    }

    /// The kernel should look like this from now on.
    pub(crate) fn want(&self, plan: HostPlan) {
        self.plans.send_replace(Some(plan));
    }

    /// Takes everything back and ends.
    pub(crate) async fn stop(self) {
        drop(self.plans);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the host task ended badly");
        }
    }
}

struct Host<C> {
    reconciler: Reconciler<Netlink>,
    firewall: Firewall,
    lans: Lans<C>,
    news: mpsc::UnboundedSender<HostNews>,
}

impl<C: ln6_host::lan::Clock> Host<C> {
    async fn serve(
        &mut self,
        mut wanted: watch::Receiver<Option<HostPlan>>,
        mut notices: mpsc::Receiver<ln6_host::monitor::Notice>,
    ) {
        loop {
            tokio::select! {
                changed = wanted.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let plan = wanted.borrow_and_update().clone();
                    self.apply(plan.as_ref()).await;
                }
                Some(notice) = notices.recv() => {
                    let again = notice.changes.iter().any(|change| {
                        matches!(change, HostChange::Drifted | HostChange::LinkUp(_) | HostChange::LinkDown(_))
                    });
                    let _ = self.news.send(HostNews::Surroundings(Box::new(notice.now)));
                    if again {
                        let plan = wanted.borrow().clone();
                        self.apply(plan.as_ref()).await;
                    }
                }
            }
        }
        self.remove().await;
    }

    async fn apply(&mut self, plan: Option<&HostPlan>) {
        let Some(plan) = plan else { return };
        let mut findings = Vec::new();
        match self.reconciler.apply(plan).await {
            Ok(report) => findings.extend(report.findings),
            Err(error) => findings.push(trouble(error.code(), error.to_string(), error.hint())),
        }
        match self.reconciler.kernel().links().await {
            Ok(links) => {
                for (interface, error) in self.lans.apply(&plan.lans, &links).await {
                    let message = format!("no router advertisements on {interface}: {error}");
                    findings.push(trouble("lan_unavailable", message, "check the interface named by --lan"));
                }
            }
            Err(error) => findings.push(trouble(error.code(), error.to_string(), error.hint())),
        }
        if let Err(error) = self.firewall.apply(plan.firewall.as_ref()).await {
            findings.push(trouble(error.code(), error.to_string(), error.hint()));
        }
        let _ = self.news.send(HostNews::Findings(findings));
    }

    async fn remove(&mut self) {
        self.lans.stop().await;
        if let Err(error) = self.firewall.remove().await {
            tracing::warn!(%error, "the firewall table stays behind");
        }
        if let Err(error) = self.reconciler.remove_all().await {
            tracing::warn!(%error, "routes or addresses stay behind");
        }
    }
}

fn trouble(code: &'static str, message: String, hint: &str) -> Finding {
    tracing::warn!(code, message, "the host is not as it should be");
    Finding { code, severity: ln6_host::finding::Severity::Error, message, hint: hint.to_owned() }
}
