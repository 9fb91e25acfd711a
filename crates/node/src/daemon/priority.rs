//! What became of the workers' wish to go before other threads, for `doctor` and the metrics.

use crate::daemon::Daemon;
use crate::schema::{Count, DoctorReport, Problem, Severity};
use ln6_netio::worker::{PriorityCounters, WorkerCounters};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one sees of the workers' counters.
fn report(wanted: bool, workers: &[Arc<WorkerCounters>]) -> DoctorReport {
    let any = |is: fn(&PriorityCounters) -> bool| workers.iter().any(|worker| is(&worker.priority));
    if any(|priority| priority.refused.load(Ordering::Relaxed)) {
        let finding = Problem {
            code: "priority_refused".to_owned(),
            severity: Severity::Note,
            message: "the kernel lets no forwarding thread go before others: a ping may wait while programs are busy".to_owned(),
            hint: Some(
                "allow it: LimitRTPRIO=1 in the unit, --ulimit rtprio=1 or CAP_SYS_NICE for a container; or set priority = \"off\" \
                 under [node]"
                    .to_owned(),
            ),
        };
        return DoctorReport { findings: vec![finding], passed: Vec::new() };
    }
    let words = if wanted {
        let times: u64 = workers.iter().map(exhausted).sum();
        format!("forwarding threads go before others, within bounds (used up {times} times)")
    } else {
        "forwarding threads run among others: priority = \"off\"".to_owned()
    };
    DoctorReport { findings: Vec::new(), passed: vec![words] }
}

fn exhausted(worker: &Arc<WorkerCounters>) -> u64 {
    worker.priority.exhausted.load(Ordering::Relaxed)
}

impl Daemon {
    /// What is wrong, and what the workers may do.
    pub(super) fn doctor(&self) -> DoctorReport {
        let mut doctor = report(self.node.config.node.priority, self.workers.counters());
        doctor.passed.push(self.offloads_in_words());
        doctor.findings.extend(self.news.problems());
        doctor
    }

    /// How often the workers' credit was used up.
    pub(super) fn priority_exhausted(&self) -> Count {
        let count = self.workers.counters().iter().map(exhausted).sum();
        Count { reason: "priority_exhausted".to_owned(), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_remark_and_neither_silence_nor_an_error() {
        let workers = [Arc::new(WorkerCounters::default()), Arc::new(WorkerCounters::default())];
        workers[0].priority.exhausted.store(3, Ordering::Relaxed);
        workers[1].priority.exhausted.store(4, Ordering::Relaxed);
        let well = report(true, &workers);
        assert!(well.findings.is_empty() && well.passed[0].contains("7 times"), "{well:?}");
        assert!(report(false, &workers).passed[0].contains("off"));
        workers[1].priority.refused.store(true, Ordering::Relaxed);
        let refused = report(true, &workers);
        assert_eq!(refused.findings[0].severity, Severity::Note);
        assert_eq!(refused.findings[0].code, "priority_refused");
        assert!(refused.passed.is_empty());
    }
}
