//! Who asked whom, and whether an answer is one to what was asked.
//!
//! Each request has a number, which its payload carries and every answer to it brings back. An answer comes from the address to
//! which that very request went. Only where the specification lets a connection lose its entry may it look like an answer of
//! another connection of the same caller, by the same backend:
//!
//! * the host deleted its pair, or its group changed, so that the pair was pinned anew ([`Judge::loosen`]);
//! * the backend spoke first, so that a plain pair of its own was there (datagrams only, likewise);
//! * a packet that translates nothing was forwarded without an entry, as the queue was full: only if the card counted that
//!   while the caller was active, which is known at the next quiet moment ([`Judge::quiet`]).
//!
//! Callers rarely come back, so none of this lasts.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, ensure};
use penstock_refmodel::wire::UDP;

use super::node::{BACKENDS, CLIENTS, DESTINATIONS, GROUP, POD_PORT};

/// A client by number, its port and the protocol.
pub(super) type Caller = (usize, u16, u8);

/// An address and a port.
pub(super) type Socket = (u32, u16);

struct Asked {
    caller: Caller,
    to: usize,
    /// The tunnel by which it came; 0 on this node.
    tunnel: u32,
    /// Where it came out.
    backend: Option<usize>,
}

#[derive(Default)]
struct Calls {
    /// Quiet moments before the first.
    since: usize,
    to: BTreeSet<usize>,
    loose: bool,
    /// By destination, the tunnel of the last request that came out.
    tunnels: HashMap<usize, u32>,
}

/// All that was asked.
#[derive(Default)]
pub(super) struct Judge {
    asked: Vec<Asked>,
    calls: HashMap<Caller, Calls>,
    /// Between quiet moments: whether packets were forwarded without their entry.
    put_off: Vec<bool>,
    deferred: u64,
    /// Answers that are right only if something was put off since.
    excuses: Vec<(usize, String)>,
    /// Answers to callers of whom nothing was taken away.
    pub(super) strict: u64,
    /// Answers to the others.
    pub(super) loose: u64,
    /// Answers that came from another address, as they may.
    pub(super) excused: u64,
    /// Connections that went on by another tunnel.
    pub(super) moves: u64,
}

/// The backend may be one of the destination's.
fn reaches(to: usize, backend: usize) -> bool {
    to == GROUP || backend == usize::from(to == 4)
}

/// The destination is a pod's own address.
fn is_plain(to: usize) -> bool {
    to > GROUP
}

fn address(to: usize) -> Socket {
    (DESTINATIONS[to].0, DESTINATIONS[to].1)
}

impl Judge {
    /// A number for a request.
    pub(super) fn ask(&mut self, caller: Caller, to: usize, tunnel: u32) -> u32 {
        let since = self.put_off.len();
        let calls = self.calls.entry(caller).or_insert_with(|| Calls { since, ..Calls::default() });
        calls.to.insert(to);
        self.asked.push(Asked { caller, to, tunnel, backend: None });
        self.asked.len() as u32 - 1
    }

    /// A number for what a backend sends unasked.
    pub(super) fn speak_first(&mut self, caller: Caller, backend: usize) -> u32 {
        let number = self.ask(caller, GROUP + 1 + backend, 0);
        self.asked[number as usize].backend = Some(backend);
        self.loosen(caller);
        number
    }

    /// Something of this caller was taken away, or will be.
    pub(super) fn loosen(&mut self, caller: Caller) {
        if let Some(calls) = self.calls.get_mut(&caller) {
            calls.loose = true;
        }
    }

    /// Pairs of those who asked the group may be pinned anew from now on.
    pub(super) fn group_changes(&mut self) {
        for calls in self.calls.values_mut() {
            calls.loose |= calls.to.contains(&GROUP);
        }
    }

    fn asked(&self, number: u32) -> Result<&Asked> {
        let asked = self.asked.get(number as usize);
        asked.ok_or_else(|| anyhow::anyhow!("request {number} was never sent"))
    }

    /// A request came out.
    pub(super) fn came_out(
        &mut self,
        number: u32,
        vif: u8,
        from: Socket,
        to: Socket,
    ) -> Result<()> {
        let asked = self.asked(number)?;
        let (client, port, _) = asked.caller;
        let backend = BACKENDS.iter().position(|b| b.0 == vif);
        let backend = backend.filter(|&b| {
            reaches(asked.to, b)
                && (from, to) == ((CLIENTS[client].0, port), (BACKENDS[b].1, POD_PORT))
        });
        ensure!(
            backend.is_some(),
            "a request of {:x?} to {:x?} came out by vif {vif}, from {from:x?} to {to:x?}",
            asked.caller,
            address(asked.to)
        );
        let (caller, to, tunnel) = (asked.caller, asked.to, asked.tunnel);
        self.asked[number as usize].backend = backend;
        if let Some(calls) = self.calls.get_mut(&caller) {
            let before = calls.tunnels.insert(to, tunnel);
            self.moves += u64::from(!calls.loose && before.is_some_and(|b| b != tunnel));
        }
        Ok(())
    }

    /// An answer reached somebody.
    pub(super) fn answered(&mut self, number: u32, from: Socket, at: Socket) -> Result<()> {
        let &Asked { caller, to, backend, .. } = self.asked(number)?;
        let calls = &self.calls[&caller];
        let what = || {
            let right = address(to);
            format!("{caller:x?} asked {right:x?}, and {at:x?} is answered from {from:x?}")
        };
        ensure!(at == (CLIENTS[caller.0].0, caller.1), what());
        if calls.loose {
            self.loose += 1;
        } else {
            self.strict += 1;
        }
        if from == address(to) {
            return Ok(());
        }
        let of_backend = |b: usize| {
            calls.to.iter().any(|&d| reaches(d, b) && address(d) == from)
                || caller.2 == UDP && from == (BACKENDS[b].1, POD_PORT)
        };
        ensure!(backend.is_some_and(of_backend), what());
        self.excused += 1;
        if !calls.loose {
            ensure!(is_plain(to) || caller.2 == UDP, what());
            self.excuses.push((calls.since, what()));
        }
        Ok(())
    }

    /// Nothing is on its way; so many requests for entries were put off so far.
    pub(super) fn quiet(&mut self, deferred: u64) -> Result<()> {
        self.put_off.push(deferred > self.deferred);
        self.deferred = deferred;
        for (since, what) in std::mem::take(&mut self.excuses) {
            ensure!(self.put_off[since..].contains(&true), what);
        }
        Ok(())
    }
}
