//! Peers that misbehave, beside one that does not: they harm only their own session.

#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use penstock_bgp::wire::{self, Open};
use penstock_bgp::{
    Attributes, Family, Phase, Policy, RouteDistinguisher, RouteTarget, Session, SessionConfig,
    Targets, VpnPath, VpnPrefix, Want,
};
use penstock_model::{Advertisement, Encapsulation, MplsLabel, OrdMap, VrfId};
use penstock_routed::{Local, Peer, Routes, speak};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const NODE: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);
const GOOD: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 21);
const AS: u32 = 64512;
const PATIENCE: Duration = Duration::from_secs(60);

fn target() -> RouteTarget {
    RouteTarget::new(AS, 100).unwrap()
}

fn route(host: u8) -> (VpnPrefix, VpnPath) {
    let prefix = VpnPrefix {
        distinguisher: RouteDistinguisher::of_node(GOOD, 2),
        prefix: ipnet::Ipv4Net::new(Ipv4Addr::new(10, 47, 255, host), 32).unwrap(),
    };
    let attributes = Arc::new(Attributes::of_node(GOOD, vec![target().community()]));
    (prefix, VpnPath { label: MplsLabel(25), attributes })
}

fn config(identifier: Ipv4Addr) -> SessionConfig {
    SessionConfig {
        target_constraint: false,
        hold_time: Duration::from_secs(9),
        retry: Duration::from_millis(200),
        ..SessionConfig::new(AS, AS, identifier)
    }
}

/// A peer that takes connections and is what it should be; it tells more of its routes each second.
fn good_peer(listener: &TcpListener) {
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let start = Instant::now();
    let mut session = Session::new(config(GOOD), false, start);
    session.elapsed(start);
    assert_eq!(session.wants(start), Want::Connect);
    session.connected(start);
    let mut part = [0; 4096];
    loop {
        let now = Instant::now();
        session.elapsed(now);
        let hosts = u8::try_from((now - start).as_secs().min(200)).unwrap();
        session.advertise(&(0..=hosts).map(route).collect(), true);
        while let Some(message) = session.transmit() {
            if stream.write_all(&message).is_err() {
                return;
            }
        }
        match stream.read(&mut part) {
            Ok(0) => return,
            Ok(count) => session.received(&part[..count], now),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

/// A peer that takes connections and does this with each.
fn bad_peer(what: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(what));
    address
}

/// What opens a session with the node, by somebody with this identifier.
fn greeting(identifier: Ipv4Addr) -> Vec<u8> {
    let open = Open {
        asn: AS,
        four_octets: true,
        hold_seconds: 90,
        identifier,
        families: vec![Family::Vpn],
        refresh: true,
        graceful: None,
        long_lived_seconds: None,
    };
    [wire::open(&open), wire::keepalive()].concat()
}

/// UPDATEs of prefixes that are all different, for ever.
fn flood(mut stream: TcpStream, identifier: Ipv4Addr) {
    if stream.write_all(&greeting(identifier)).is_err() {
        return;
    }
    let attributes = Arc::new(Attributes::of_node(identifier, vec![target().community()]));
    for block in 0u32.. {
        let prefix = |host: u32| {
            let address = Ipv4Addr::from(0x0100_0000 + (block % 0x1_0000) * 256 + host);
            let place = VpnPrefix {
                distinguisher: RouteDistinguisher::of_node(identifier, 2),
                prefix: ipnet::Ipv4Net::new(address, 32).unwrap(),
            };
            (place, Some(VpnPath { label: MplsLabel(25), attributes: attributes.clone() }))
        };
        let changes: Vec<_> = (0..200).map(prefix).collect();
        for message in wire::updates(&changes, AS, true) {
            if stream.write_all(&message).is_err() {
                return;
            }
        }
    }
}

#[test]
fn peers_that_misbehave_harm_only_their_own_sessions() {
    let good = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let good_address = good.local_addr().unwrap();
    thread::spawn(move || good_peer(&good));
    let bad: [(&str, SocketAddr); 6] = [
        (
            "garbage",
            bad_peer(|mut stream| {
                let _ = stream.write_all(&[0x47; 100_000]);
            }),
        ),
        ("flood", bad_peer(|stream| flood(stream, Ipv4Addr::new(10, 0, 0, 2)))),
        (
            "half-close",
            bad_peer(|mut stream| {
                let _ = stream.write_all(&greeting(Ipv4Addr::new(10, 0, 0, 3)));
                let _ = stream.shutdown(Shutdown::Write);
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
            }),
        ),
        (
            "silent",
            bad_peer(|stream| {
                thread::sleep(PATIENCE);
                drop(stream);
            }),
        ),
        ("closes", bad_peer(drop)),
        (
            "same identifier",
            bad_peer(|mut stream| {
                let _ = stream.write_all(&greeting(NODE));
                let _ = stream.read(&mut [0; 1]);
            }),
        ),
    ];
    let peer = |(name, address): (&str, SocketAddr)| Peer {
        name: name.into(),
        address,
        from: None,
        session: SessionConfig { most_routes: 10_000, ..config(NODE) },
        restarted: false,
    };
    let peers = bad.into_iter().chain([("good", good_address)]).map(peer).collect();
    let own = Advertisement {
        vrf: VrfId(2),
        prefix: "10.47.255.237/32".parse().unwrap(),
        label: MplsLabel(25),
        next_hop: NODE.into(),
    };
    let local = Local {
        policy: Policy {
            node: NODE,
            encapsulations: vec![Encapsulation::MplsOverUdp],
            vrfs: [(VrfId(2), Targets { import: [target()].into(), export: [target()].into() })]
                .into(),
        },
        advertisements: [(own, ())].into_iter().collect::<OrdMap<_, _>>(),
        complete: true,
        preserved: true,
    };
    let runtime = Runtime::new().unwrap();
    let (local_sender, local) = watch::channel(Some(local));
    let (sender, routes) = watch::channel(Routes::default());
    runtime.spawn(speak(peers, local, sender));
    let start = Instant::now();
    let of_good =
        |routes: &Routes| routes.routes.values().filter(|one| &*one.peer == "good").count();
    loop {
        let now = routes.borrow().clone();
        // Routes that the good peer told one by one over seconds, while the flood went on.
        let done = of_good(&now) >= 4 && now.peers["flood"].refused.0 > 100_000;
        if done {
            assert_eq!((now.peers["good"].phase, now.peers["good"].told), (Phase::Established, 1));
            assert!(now.peers["flood"].learned <= 10_000);
            let ended = |name: &str| now.peers[name].last_end.is_some();
            assert!(["garbage", "half-close", "closes", "same identifier"].into_iter().all(ended));
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", now.peers);
        thread::sleep(Duration::from_millis(50));
    }
    // Who no longer has anything to tell them ends all sessions.
    drop(local_sender);
}
