//! Makes the kernel match a plan: what to change is computed from what is wanted and what is there, additions come
//! before removals, and what somebody else made is never touched.

use crate::finding::{Finding, Severity};
use crate::interface::InterfaceName;
use crate::kernel::{Address, Kernel, KernelError, KernelRoute, KernelVia, Link, OwnAddress, Step, TunShape};
use crate::plan::{HostPlan, HostVia};
use core::net::IpAddr;
use ln6_types::Prefix;
use std::collections::{BTreeMap, BTreeSet};

/// What a dump of the kernel showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// The TUN device's index, if it is there.
    pub tun: Option<u32>,
    /// All interfaces.
    pub links: Vec<Link>,
    /// All addresses; `ours` is set also on those that we only remember.
    pub addresses: Vec<Address>,
    /// Our routes.
    pub routes: Vec<KernelRoute>,
}

impl Observed {
    fn index_of(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|link| link.name == name).map(|link| link.index)
    }
}

/// The changes that make `observed` match `plan`, in order. `shape` = `None` leaves the TUN device's link alone.
///
/// What cannot be made true (an interface is missing) is left out; [`obstacles`] names it.
pub fn plan_steps(plan: &HostPlan, shape: Option<TunShape>, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(link_step(shape, observed));
    let addresses = address_steps(plan, observed);
    let (routes, stale) = route_steps(plan, observed);
    steps.extend(addresses.before);
    steps.extend(addresses.put);
    steps.extend(routes);
    steps.extend(stale);
    steps.extend(addresses.after);
    steps
}

fn link_step(shape: Option<TunShape>, observed: &Observed) -> Option<Step> {
    let (shape, index) = (shape?, observed.tun?);
    let link = observed.links.iter().find(|link| link.index == index)?;
    let right = link.up && link.mtu == shape.mtu && link.queue == shape.queue;
    (!right).then_some(Step::SetLink { index, shape })
}

/// Wanted addresses, each with whether it is deprecated.
fn wanted_addresses(plan: &HostPlan, observed: &Observed) -> BTreeMap<OwnAddress, bool> {
    let mut wanted = BTreeMap::new();
    if let Some(index) = observed.tun {
        for &(address, len) in &plan.tun_addresses {
            wanted.insert(OwnAddress { index, address, len }, false);
        }
    }
    for lan in &plan.lans {
        let Some(index) = observed.index_of(&lan.interface) else { continue };
        let own = |p: &crate::plan::LanPrefix| OwnAddress { index, address: p.address, len: p.prefix.len() };
        // A prefix in both lists is in force.
        wanted.extend(lan.deprecated.iter().map(|prefix| (own(prefix), true)));
        wanted.extend(lan.prefixes.iter().map(|prefix| (own(prefix), false)));
    }
    // Of the same address with two lengths, the longer stays.
    let shadowed = |one: &OwnAddress, all: &BTreeMap<OwnAddress, bool>| {
        all.keys().any(|o| o.index == one.index && o.address == one.address && o.len > one.len)
    };
    let all = wanted.clone();
    wanted.retain(|one, _| !shadowed(one, &all));
    wanted
}

/// Address changes: what has to go first, what is put, what goes last.
#[derive(Default)]
struct AddressSteps {
    before: Vec<Step>,
    put: Vec<Step>,
    after: Vec<Step>,
}

fn address_steps(plan: &HostPlan, observed: &Observed) -> AddressSteps {
    let wanted = wanted_addresses(plan, observed);
    let mut put = wanted.clone();
    let mut steps = AddressSteps::default();
    for seen in &observed.addresses {
        let IpAddr::V6(address) = seen.address else { continue };
        let own = OwnAddress { index: seen.index, address, len: seen.len };
        // An interface has an address once, whatever its prefix length.
        let same = |other: &OwnAddress| other.index == seen.index && other.address == address;
        match wanted.get(&own) {
            // Somebody else gave the interface the address that we want: good enough, and not ours to change.
            _ if !seen.ours => put.retain(|other, _| !same(other)),
            Some(&deprecated) if deprecated == seen.deprecated => drop(put.remove(&own)),
            Some(_) => {}
            None if wanted.keys().any(same) => steps.before.push(Step::DeleteAddress(own)),
            None => steps.after.push(Step::DeleteAddress(own)),
        }
    }
    let put = put.into_iter().map(|(address, deprecated)| Step::PutAddress { address, deprecated });
    steps.put = put.collect();
    steps
}

type RouteKey = (Prefix, Prefix, u32);

fn wanted_routes(plan: &HostPlan, tun: Option<u32>) -> BTreeMap<RouteKey, KernelRoute> {
    let mut wanted = BTreeMap::new();
    for route in &plan.routes {
        let via = match (route.via, tun) {
            (HostVia::Unreachable, _) => KernelVia::Unreachable,
            (HostVia::Tun, Some(index)) => KernelVia::Device(index),
            (HostVia::Tun, None) => continue,
        };
        let route = KernelRoute::of(route, via);
        wanted.insert(route.key(), route);
    }
    wanted
}

fn route_steps(plan: &HostPlan, observed: &Observed) -> (Vec<Step>, Vec<Step>) {
    let wanted = wanted_routes(plan, observed.tun);
    let mut held: BTreeMap<RouteKey, Vec<&KernelRoute>> = BTreeMap::new();
    for route in &observed.routes {
        held.entry(route.key()).or_default().push(route);
    }
    let mut put = Vec::new();
    for (key, route) in &wanted {
        match held.get(key) {
            None => put.push(Step::AddRoute(*route)),
            Some(seen) if seen.contains(&route) => {}
            Some(_) => put.push(Step::ReplaceRoute(*route)),
        }
    }
    let mut stale = Vec::new();
    for (key, seen) in &held {
        match wanted.get(key) {
            None => stale.extend(seen.iter().map(|route| Step::DeleteRoute(**route))),
            // The right one is there, or takes the place of the first: the rest goes.
            Some(route) if seen.contains(&route) => {
                stale.extend(seen.iter().filter(|r| **r != route).map(|route| Step::DeleteRoute(**route)));
            }
            Some(_) => stale.extend(seen.iter().skip(1).map(|route| Step::DeleteRoute(**route))),
        }
    }
    (put, stale)
}

/// What of the plan cannot be made true because an interface is missing or down.
pub fn obstacles(plan: &HostPlan, observed: &Observed) -> Vec<Finding> {
    let mut found = Vec::new();
    for lan in &plan.lans {
        let link = observed.links.iter().find(|link| link.name == lan.interface);
        let (code, state) = match link {
            None => ("lan_missing", "does not exist"),
            Some(link) if !link.up => ("lan_down", "is switched off"),
            Some(_) => continue,
        };
        found.push(Finding::new(
            code,
            Severity::Error,
            format!("the LAN interface {} {state}", lan.interface),
            "look with `ip link`; it gets its prefix as soon as it is there and up",
        ));
    }
    if observed.tun.is_none() && (!plan.tun_addresses.is_empty() || !plan.routes.is_empty()) {
        found.push(Finding::new(
            "tun_missing",
            Severity::Error,
            "the tunnel interface does not exist",
            "restart ln6d; something removed it",
        ));
    }
    found
}

/// What an application of a plan did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How many steps were made.
    pub done: usize,
    /// The steps that failed; each is tried again at the next application.
    pub failures: Vec<KernelError>,
    /// What could not even be tried.
    pub findings: Vec<Finding>,
}

/// Keeps a kernel as a plan wants it.
pub struct Reconciler<K> {
    kernel: K,
    tun: InterfaceName,
    shape: Option<TunShape>,
    /// Kernels before 5.18 do not say whose an address is.
    remembered: BTreeSet<OwnAddress>,
}

impl<K: Kernel> Reconciler<K> {
    /// A reconciler for the TUN device `tun`; `shape` = `None` leaves its link alone.
    pub fn new(kernel: K, tun: InterfaceName, shape: Option<TunShape>) -> Self {
        Reconciler { kernel, tun, shape, remembered: BTreeSet::new() }
    }

    /// Changes the shape of the TUN device that the next application sets.
    pub fn set_shape(&mut self, shape: TunShape) {
        self.shape = Some(shape);
    }

    /// The addresses that we added and did not remove; worth keeping over a crash on kernels before 5.18.
    pub fn remembered(&self) -> impl Iterator<Item = &OwnAddress> {
        self.remembered.iter()
    }

    /// Takes over addresses that an earlier run remembered.
    pub fn remember(&mut self, addresses: impl IntoIterator<Item = OwnAddress>) {
        self.remembered.extend(addresses);
    }

    /// The kernel behind.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Dumps what concerns us.
    pub async fn observe(&mut self) -> Result<Observed, KernelError> {
        let links = self.kernel.links().await?;
        let mut addresses = self.kernel.addresses().await?;
        for seen in &mut addresses {
            if let IpAddr::V6(address) = seen.address {
                let own = OwnAddress { index: seen.index, address, len: seen.len };
                seen.ours |= self.remembered.contains(&own);
            }
        }
        let routes = self.kernel.routes().await?;
        let tun = links.iter().find(|link| link.name == self.tun.as_str()).map(|link| link.index);
        Ok(Observed { tun, links, addresses, routes })
    }

    /// Makes `plan` true as far as possible. Fails only if the kernel cannot be read; a step that fails is reported
    /// and does not stop the others. The first application also clears what a killed run left behind.
    pub async fn apply(&mut self, plan: &HostPlan) -> Result<Report, KernelError> {
        let observed = self.observe().await?;
        let steps = plan_steps(plan, self.shape, &observed);
        let mut report = Report { findings: obstacles(plan, &observed), ..Report::default() };
        for step in steps {
            self.execute(step, &mut report).await;
        }
        Ok(report)
    }

    async fn execute(&mut self, step: Step, report: &mut Report) {
        tracing::debug!(%step, "kernel");
        if let Err(error) = self.kernel.execute(step).await {
            tracing::warn!(code = error.code(), hint = error.hint(), "{error}");
            report.failures.push(error);
            return;
        }
        report.done += 1;
        match step {
            Step::PutAddress { address, .. } => {
                self.remembered.insert(address);
            }
            Step::DeleteAddress(address) => {
                self.remembered.remove(&address);
            }
            _ => {}
        }
    }

    /// Takes away everything of ours; the link of the TUN device is left alone.
    pub async fn remove_all(&mut self) -> Result<Report, KernelError> {
        self.shape = None;
        self.apply(&HostPlan::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;
    use crate::plan::{HostRoute, LanPlan, LanPrefix};
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    const TUN: u32 = 7;
    const LAN: u32 = 3;
    const SHAPE: TunShape = TunShape { mtu: 1420, queue: 1000 };

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn a(text: &str) -> Ipv6Addr {
        text.parse().expect("address")
    }

    fn kernel() -> FakeKernel {
        let links = vec![FakeKernel::link(LAN, "br-lan"), FakeKernel::link(TUN, "ln6")];
        FakeKernel { links, ..FakeKernel::default() }
    }

    fn reconciler(kernel: FakeKernel) -> Reconciler<FakeKernel> {
        Reconciler::new(kernel, "ln6".parse().expect("name"), Some(SHAPE))
    }

    fn lan_prefix(text: &str) -> LanPrefix {
        LanPrefix { prefix: p(text), address: p(text).address(1) }
    }

    fn lan(prefixes: &[&str], deprecated: &[&str]) -> LanPlan {
        LanPlan {
            interface: "br-lan".into(),
            prefixes: prefixes.iter().map(|text| lan_prefix(text)).collect(),
            deprecated: deprecated.iter().map(|text| lan_prefix(text)).collect(),
            router_lifetime: 1800,
            route_information: vec![],
            mtu: 1420,
            resolvers: vec![],
        }
    }

    fn plan() -> HostPlan {
        HostPlan {
            tun_addresses: vec![(a("fd00::1"), 128)],
            routes: vec![
                HostRoute { to: Prefix::ALL, from: p("2001:db8::/48"), via: HostVia::Tun, metric: 512 },
                HostRoute {
                    to: p("2001:db8::/48"),
                    from: Prefix::ALL,
                    via: HostVia::Unreachable,
                    metric: 2048,
                },
            ],
            lans: vec![lan(&["2001:db8::/64"], &[])],
            firewall: None,
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(future)
    }

    #[test]
    fn a_plan_becomes_true_and_the_second_application_does_nothing() {
        let mut r = reconciler(kernel());
        let first = block_on(r.apply(&plan())).expect("apply");
        assert_eq!((first.done, first.failures, first.findings), (5, vec![], vec![]));
        assert_eq!(block_on(r.apply(&plan())).expect("apply"), Report::default());
        assert_eq!(r.kernel().routes.len(), 2);
        assert_eq!(r.kernel().links[1].mtu, 1420);
    }

    #[test]
    fn everything_is_removed_at_exit_also_where_addresses_carry_no_protocol() {
        for forgets_address_protocol in [false, true] {
            let mut r = reconciler(FakeKernel { forgets_address_protocol, ..kernel() });
            block_on(r.apply(&plan())).expect("apply");
            block_on(r.remove_all()).expect("remove");
            assert_eq!(r.kernel().addresses, vec![]);
            assert_eq!(r.kernel().routes, vec![]);
            assert_eq!(r.remembered().count(), 0);
        }
    }

    #[test]
    fn routes_of_a_killed_run_go_at_the_first_application() {
        let mut kernel = kernel();
        let stale = KernelRoute {
            to: p("2001:db8:dead::/48"),
            from: Prefix::ALL,
            metric: 512,
            via: KernelVia::Device(TUN),
        };
        kernel.routes.push(stale);
        let mut r = reconciler(kernel);
        block_on(r.apply(&plan())).expect("apply");
        assert!(!r.kernel().routes.contains(&stale));
        assert!(r.kernel().done.contains(&Step::DeleteRoute(stale)));
    }

    #[test]
    fn a_route_that_changes_its_way_is_replaced_and_never_absent() {
        let mut r = reconciler(kernel());
        block_on(r.apply(&plan())).expect("apply");
        let mut next = plan();
        next.routes[0].via = HostVia::Unreachable;
        r.kernel().done.clear();
        block_on(r.apply(&next)).expect("apply");
        let expected = KernelRoute::of(&next.routes[0], KernelVia::Unreachable);
        assert_eq!(r.kernel().done, vec![Step::ReplaceRoute(expected)]);
    }

    #[test]
    fn additions_come_before_removals() {
        let mut r = reconciler(kernel());
        block_on(r.apply(&plan())).expect("apply");
        let mut next = plan();
        next.lans[0] = lan(&["2001:db8:1::/64"], &[]);
        next.routes[1].to = p("2001:db8:1::/48");
        r.kernel().done.clear();
        block_on(r.apply(&next)).expect("apply");
        let removes = |step: &Step| matches!(step, Step::DeleteRoute(_) | Step::DeleteAddress(_));
        let order: Vec<bool> = r.kernel().done.iter().map(removes).collect();
        assert_eq!(order, vec![false, false, true, true]);
    }

    #[test]
    fn a_deprecated_prefix_keeps_its_address_without_being_preferred() {
        let mut r = reconciler(kernel());
        block_on(r.apply(&plan())).expect("apply");
        let mut next = plan();
        next.lans[0] = lan(&["2001:db8:1::/64"], &["2001:db8::/64"]);
        block_on(r.apply(&next)).expect("apply");
        let old = r.kernel().addresses.iter().find(|seen| seen.address == a("2001:db8::1"));
        assert!(old.expect("still there").deprecated);
    }

    #[test]
    fn foreign_addresses_and_routes_are_left_alone() {
        let mut kernel = kernel();
        let foreign = Address {
            index: LAN,
            address: IpAddr::V6(a("2001:db8::1")),
            len: 64,
            ours: false,
            deprecated: false,
            usable: true,
            temporary: false,
        };
        kernel.addresses.push(foreign);
        let wider = Address { address: IpAddr::V6(a("fd00::1")), index: TUN, len: 48, ..foreign };
        kernel.addresses.push(wider);
        kernel.foreign_keys.push(KernelRoute::of(&plan().routes[1], KernelVia::Other));
        let mut r = reconciler(kernel);
        let report = block_on(r.apply(&plan())).expect("apply");
        assert_eq!(report.failures.iter().map(KernelError::code).collect::<Vec<_>>(), ["kernel_state_taken"]);
        block_on(r.remove_all()).expect("remove");
        assert_eq!(r.kernel().addresses, vec![foreign, wider]);
        assert_eq!(r.kernel().foreign_keys.len(), 1);
    }

    #[test]
    fn a_kernel_without_subtrees_is_named_and_the_rest_is_done() {
        let mut r = reconciler(FakeKernel { no_subtrees: true, ..kernel() });
        let report = block_on(r.apply(&plan())).expect("apply");
        assert_eq!(report.failures, vec![KernelError::NoSourceRoutes]);
        assert_eq!(r.kernel().routes.len(), 1);
    }

    #[test]
    fn a_missing_lan_is_a_finding_and_not_a_failure() {
        let mut kernel = kernel();
        kernel.links.remove(0);
        let mut r = reconciler(kernel);
        let report = block_on(r.apply(&plan())).expect("apply");
        assert_eq!(report.findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["lan_missing"]);
        assert_eq!(report.failures, vec![]);
    }

    fn any_prefix() -> impl Strategy<Value = Prefix> {
        (0u128..4, prop::sample::select(vec![0u8, 48, 64]))
            .prop_map(|(n, len)| Prefix::new(Ipv6Addr::from_bits(0x2001_0db8 << 96 | n << 80), len))
    }

    fn any_plan() -> impl Strategy<Value = HostPlan> {
        let via = prop::sample::select(vec![HostVia::Tun, HostVia::Unreachable]);
        let route = (any_prefix(), any_prefix(), via, 0u32..3);
        let routes = prop::collection::vec(route, 0..6);
        let numbers = || prop::collection::vec(0u16..4, 0..3);
        (routes, numbers(), numbers(), numbers()).prop_map(|(routes, tun, force, old)| {
            let text = |n: &u16| format!("2001:db8:{n:x}::/64");
            let force: Vec<_> = force.iter().map(text).collect();
            let old: Vec<_> = old.iter().map(text).collect();
            let strs = |v: &'_ [String]| v.iter().map(|s| lan_prefix(s)).collect::<Vec<_>>();
            let mut lan = lan(&[], &[]);
            (lan.prefixes, lan.deprecated) = (strs(&force), strs(&old));
            HostPlan {
                tun_addresses: tun
                    .iter()
                    .map(|n| (Ipv6Addr::from_bits(u128::from(*n) | 0xfd << 120), 128))
                    .collect(),
                routes: routes
                    .into_iter()
                    .map(|(to, from, via, metric)| HostRoute { to, from, via, metric })
                    .collect(),
                lans: vec![lan],
                firewall: None,
            }
        })
    }

    fn any_routes() -> impl Strategy<Value = Vec<KernelRoute>> {
        let via = prop::sample::select(vec![
            KernelVia::Device(TUN),
            KernelVia::Device(99),
            KernelVia::Unreachable,
            KernelVia::Other,
        ]);
        let route = (any_prefix(), any_prefix(), prop::sample::select(vec![1u32, 2, 1024]), via);
        let route = route.prop_map(|(to, from, metric, via)| KernelRoute { to, from, metric, via });
        prop::collection::vec(route, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn from_any_state_one_application_suffices(left in any_routes(), first in any_plan(), second in any_plan()) {
            let mut r = reconciler(FakeKernel { routes: left, ..kernel() });
            for plan in [first, second] {
                let report = block_on(r.apply(&plan)).expect("apply");
                prop_assert_eq!(report.failures, vec![]);
                let observed = block_on(r.observe()).expect("observe");
                prop_assert_eq!(plan_steps(&plan, Some(SHAPE), &observed), vec![]);
                let wanted: BTreeSet<KernelRoute> = wanted_routes(&plan, Some(TUN)).into_values().collect();
                let held: BTreeSet<KernelRoute> = observed.routes.iter().copied().collect();
                prop_assert_eq!(held, wanted);
                prop_assert_eq!(observed.addresses.len(), wanted_addresses(&plan, &observed).len());
            }
        }
    }
}
