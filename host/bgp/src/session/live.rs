//! How a connection begins: what both say of themselves, and what they agree on.

use std::time::{Duration, Instant};

use super::Session;
use crate::wire::{Family, GracefulRestart, Notification, Open, Scope, code};

/// A connection whose peer has said who it is.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) peer: Open,
    pub(super) families: Vec<Family>,
    pub(super) scope: Scope,
    /// Longest silence of the peer, and how often it wants to hear something; nothing = never.
    pub(super) hold: Option<(Duration, Duration)>,
    pub(super) silent_at: Option<Instant>,
    pub(super) keepalive_at: Option<Instant>,
    pub(super) since: Instant,
    /// Until then the peer's wishes are waited for before routes are sent.
    pub(super) targets_until: Option<Instant>,
    /// The peer has sent all its VPN routes.
    pub(super) ended: bool,
}

impl Live {
    /// The peer said something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.silent_at = self.hold.map(|(hold, _)| now + hold);
    }
}

impl Session {
    /// What this speaker says of itself.
    pub(super) fn open(&self) -> Open {
        let mut families = vec![Family::Vpn];
        if self.config.target_constraint {
            families.push(Family::RouteTargets);
        }
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        // After the first complete list, packets go on while a session is away: the card needs none.
        let kept = self.preserved || !self.restarting;
        Open {
            asn: self.config.local_as,
            four_octets: true,
            hold_seconds: u16::try_from(self.config.hold_time.as_secs()).unwrap_or(u16::MAX),
            identifier: self.config.identifier,
            graceful: Some(GracefulRestart {
                restarting: self.restarting,
                notifications: true,
                seconds: u16::try_from(self.config.restart_time.as_secs())
                    .unwrap_or(u16::MAX)
                    .min(4095),
                families: families.iter().map(|&family| (family, kept)).collect(),
            }),
            families,
            refresh: true,
            long_lived_seconds: self.config.long_lived.map(seconds),
        }
    }

    /// Agrees on what both can do.
    pub(super) fn accept(&self, peer: Open, now: Instant) -> Result<Live, Notification> {
        if peer.asn != self.config.peer_as {
            return Err(Notification::new(code::OPEN, code::BAD_PEER_AS));
        }
        if peer.identifier == self.config.identifier {
            return Err(Notification::new(code::OPEN, code::BAD_IDENTIFIER));
        }
        if !peer.families.contains(&Family::Vpn) {
            // The capability that is missing, as it would have to be: AFI 1, SAFI 128.
            let data = [1, 4, 0, 1, 0, 128];
            return Err(Notification::with(code::OPEN, code::UNSUPPORTED_CAPABILITY, &data));
        }
        let ours = self.open();
        let families = ours.families.into_iter().filter(|family| peer.families.contains(family));
        let hold = self.config.hold_time.min(Duration::from_secs(peer.hold_seconds.into()));
        let hold = (!hold.is_zero()).then_some((hold, hold / 3));
        Ok(Live {
            families: families.collect(),
            scope: Scope {
                local_as: self.config.local_as,
                identifier: self.config.identifier,
                internal: self.config.is_internal(),
                four_octets: peer.four_octets,
            },
            hold,
            silent_at: hold.map(|(hold, _)| now + hold),
            keepalive_at: hold.map(|(_, keepalive)| now + keepalive),
            since: now,
            targets_until: None,
            ended: false,
            peer,
        })
    }
}
