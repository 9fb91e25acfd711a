//! A kernel in memory: does what steps say, remembers them, and has whatever state a test gives it.

use crate::kernel::{Address, DefaultRoute, Kernel, KernelError, KernelRoute, Link, OwnAddress, Step};
use core::net::IpAddr;

/// See the module.
#[derive(Default)]
pub(crate) struct FakeKernel {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<KernelRoute>,
    pub(crate) foreign_keys: Vec<KernelRoute>,
    pub(crate) defaults: Vec<DefaultRoute>,
    pub(crate) done: Vec<Step>,
    /// As kernels before 5.18: addresses carry no protocol.
    pub(crate) forgets_address_protocol: bool,
    pub(crate) no_subtrees: bool,
}

impl FakeKernel {
    pub(crate) fn link(index: u32, name: &str) -> Link {
        let mac = Some([2, 0, 0, 0, 0, index as u8]);
        Link {
            index,
            name: name.into(),
            up: true,
            running: true,
            loopback: false,
            mtu: 1500,
            queue: 500,
            mac,
        }
    }

    fn is(seen: &Address, own: &OwnAddress) -> bool {
        seen.index == own.index && seen.address == IpAddr::V6(own.address) && seen.len == own.len
    }

    pub(crate) fn run(&mut self, step: Step) -> Result<(), KernelError> {
        match step {
            Step::SetLink { index, shape } => {
                for link in self.links.iter_mut().filter(|link| link.index == index) {
                    (link.up, link.mtu, link.queue) = (true, shape.mtu, shape.queue);
                }
            }
            Step::PutAddress { address, deprecated } => {
                // As Linux: an address that is there keeps its prefix length.
                let there = IpAddr::V6(address.address);
                let kept = self
                    .addresses
                    .iter_mut()
                    .find(|seen| seen.index == address.index && seen.address == there);
                match kept {
                    Some(seen) => seen.deprecated = deprecated,
                    None => self.addresses.push(Address {
                        index: address.index,
                        address: IpAddr::V6(address.address),
                        len: address.len,
                        ours: !self.forgets_address_protocol,
                        deprecated,
                        usable: true,
                        temporary: false,
                    }),
                }
            }
            Step::AddRoute(route) => {
                if self.no_subtrees && !route.from.is_default() {
                    return Err(KernelError::NoSourceRoutes);
                }
                if self.routes.iter().chain(&self.foreign_keys).any(|r| r.key() == route.key()) {
                    return Err(KernelError::Taken(step));
                }
                self.routes.push(route);
            }
            Step::ReplaceRoute(route) => {
                self.routes.retain(|seen| seen.key() != route.key());
                self.routes.push(route);
            }
            Step::DeleteRoute(route) => self.routes.retain(|seen| *seen != route),
            Step::DeleteAddress(own) => self.addresses.retain(|seen| !Self::is(seen, &own)),
        }
        self.done.push(step);
        Ok(())
    }
}

impl Kernel for FakeKernel {
    async fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        Ok(self.links.clone())
    }
    async fn addresses(&mut self) -> Result<Vec<Address>, KernelError> {
        Ok(self.addresses.clone())
    }
    async fn routes(&mut self) -> Result<Vec<KernelRoute>, KernelError> {
        Ok(self.routes.clone())
    }
    async fn default_routes(&mut self) -> Result<Vec<DefaultRoute>, KernelError> {
        Ok(self.defaults.clone())
    }
    async fn execute(&mut self, step: Step) -> Result<(), KernelError> {
        self.run(step)
    }
}
