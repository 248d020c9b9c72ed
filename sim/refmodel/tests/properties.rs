//! What holds for every table set and every packet, over random ones; and that the random ones reach every rule.

use std::collections::BTreeMap;

use penstock_abi::limits::FRAME_MAX_BYTES;
use penstock_abi::reason::{CardCounter, DropReason};
use penstock_abi::table::{TableId, Words};
use penstock_refmodel::checksum::{Update, checksum};
use penstock_refmodel::r#gen::{Rng, Traffic, World};
use penstock_refmodel::packet::wrong_checksum;
use penstock_refmodel::parse::{self, Bytes, L4};
use penstock_refmodel::tunnel::tunnel;
use penstock_refmodel::{Egress, Ingress, Learn, Outcome, RefModel, Rule, Verdict};
use proptest::prelude::*;

struct Run {
    model: RefModel,
    world: World,
    traffic: Traffic,
    rng: Rng,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let world = World::new(&mut rng);
        let mut model = RefModel::new();
        model.set_enabled(true);
        for (table, index, words) in world.dump() {
            assert!(model.write(table, index, &words));
        }
        Self { model, world, traffic: Traffic::new(seed ^ 0xabcd, true), rng }
    }

    fn step(&mut self) -> (Ingress, Vec<u8>, Outcome) {
        if self.rng.one_in(100) {
            for (table, index, words) in self.world.change(&mut self.rng) {
                assert!(self.model.write(table, index, &words));
            }
        }
        if self.rng.one_in(200) {
            self.limit_shares();
        }
        let (ingress, frame) = self.traffic.next_frame(&self.world);
        let outcome = self.model.process(ingress, &frame);
        self.traffic.feedback(&self.world, ingress, &frame, &outcome.verdict);
        (ingress, frame, outcome)
    }
}

impl Run {
    /// Some shares are limited, or none.
    fn limit_shares(&mut self) {
        let limited: Vec<u32> = self.model.tables().flow_shares().map(|(share, _)| share).collect();
        for share in limited {
            assert!(self.model.write(TableId::FlowShare, share, &Words::default()));
        }
        if self.rng.one_in(3) {
            let limit = self.world.some_limit(&mut self.rng, self.model.flows());
            assert!(self.model.write(limit.0, limit.1, &limit.2));
        }
    }
}

/// Offset of the (inner) IPv4 packet in a frame that the card was to route.
fn inner_at(model: &RefModel, ingress: Ingress, frame: &[u8]) -> Option<usize> {
    match ingress {
        Ingress::Fabric => {
            let port = model.tables().vif(0);
            tunnel(frame, port.mac, port.ip).map(|t| t.label_at + 4)
        }
        Ingress::Host(_) => Some(Bytes(frame).ether_type().1),
    }
}

fn inner_of_output(egress: Egress, out: &[u8]) -> Option<&[u8]> {
    match egress {
        Egress::Host(_) => out.get(14..),
        Egress::Fabric => out.get(if Bytes(out).u8(23) == 17 { 46 } else { 42 }..),
        Egress::Firmware { .. } => None,
    }
}

#[test]
fn right_checksums_stay_right_and_wrong_ones_wrong() {
    let mut checked = [0; 2];
    for seed in 0..12 {
        let mut run = Run::new(seed);
        for _ in 0..2500 {
            let (ingress, frame, outcome) = run.step();
            let Verdict::Sent { egress, frame: out } = &outcome.verdict else { continue };
            let Some(at) = inner_at(&run.model, ingress, &frame).filter(|_| *out != frame) else {
                continue;
            };
            let Ok(ip) = parse::ipv4(&frame, at) else { continue };
            let before = &frame[at..at + ip.total_bytes];
            let Some(after) = inner_of_output(*egress, out) else { continue };
            assert_eq!(after.len(), ip.total_bytes, "padding does not leave");
            if ip.is_fragment() {
                continue;
            }
            let zero_udp = ip.proto == 17 && before[ip.header_bytes + 6..][..2] == [0, 0];
            if !zero_udp {
                assert_eq!(
                    wrong_checksum(after),
                    wrong_checksum(before),
                    "seed {seed}\n{before:02x?}\n{after:02x?}"
                );
                checked[usize::from(before[12..] != after[12..])] += 1;
            }
        }
    }
    assert!(checked[1] > 1000, "untranslated, translated: {checked:?}");
}

/// Until its pair is inserted, a flow's packets take the full path: the result must not differ (section 9).
#[test]
fn a_flow_that_was_just_learned_gives_the_same_packet() {
    let mut compared = 0;
    for seed in 20..32 {
        let mut run = Run::new(seed);
        for _ in 0..2500 {
            let (ingress, frame, outcome) = run.step();
            if outcome.decision.learn.pair().is_some() {
                let again = run.model.decide(ingress, &frame);
                assert_eq!(again.verdict, outcome.verdict, "seed {seed}");
                // A member that is evicted but does not drain may be chosen again, each time anew.
                let evicted = again.rule == Some(Rule::UdpEvicted);
                assert!(again.learn == Learn::No || evicted, "seed {seed}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn nothing_is_lost_uncounted() {
    for seed in 40..46 {
        let mut run = Run::new(seed);
        for _ in 0..1000 {
            run.step();
        }
        let c = run.model.counters();
        let sum =
            |f: fn(&penstock_abi::table::VifStats) -> u64| c.vifs.values().map(f).sum::<u64>();
        let drops: u64 = c.drops.values().sum();
        assert_eq!(sum(|v| v.rx_packets), 1000);
        assert_eq!(sum(|v| v.drops), drops);
        assert_eq!(sum(|v| v.tx_packets) + drops + c.card(CardCounter::Trapped), 1000);
        let paired = run.model.flows().attributes();
        for (key, f) in &paired {
            let partner = f.partner.expect("a pair is never halved");
            assert_eq!(paired[&partner].partner, Some(*key));
            assert_ne!(paired[&partner].flow.reverse, f.flow.reverse);
        }
    }
}

/// The generator must reach every rule, or the scoreboard proves little.
#[test]
fn random_packets_reach_every_rule() {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut longest = 0;
    for seed in 100..200 {
        let mut run = Run::new(seed);
        for _ in 0..1500 {
            let (ingress, frame, outcome) = run.step();
            longest = longest.max(frame.len());
            let mut note = |what: String| *seen.entry(what).or_default() += 1;
            let from = if ingress == Ingress::Fabric { "fabric" } else { "host" };
            match &outcome.verdict {
                Verdict::Dropped(reason) => note(format!("{from} drop {reason:?}")),
                Verdict::Sent { egress: Egress::Fabric, .. } => note(format!("{from} to fabric")),
                Verdict::Sent { egress: Egress::Host(_), .. } => note(format!("{from} to host")),
                Verdict::Sent { egress: Egress::Firmware { reason, .. }, .. } => {
                    note(format!("{from} trap {reason}"));
                }
            }
            let d = &outcome.decision;
            if let Some(rule) = d.rule {
                note(format!("rule {rule:?}"));
            }
            if let (Learn::Move { .. } | Learn::DeadPair { .. }, Some(done)) =
                (d.learn, outcome.inserted)
            {
                note(format!("{done:?}"));
            }
            let hit = d
                .lookup
                .filter(|_| d.counts_on_flow)
                .and_then(|k| run.model.flows().get(&k).copied());
            if let Some(f) = hit {
                let error = inner_at(&run.model, ingress, &frame)
                    .and_then(|at| parse::ipv4(&frame, at).ok())
                    .is_some_and(|ip| ip.l4 == L4::IcmpError);
                note(format!(
                    "hit error={error} reverse={} map={} hairpin={}",
                    f.reverse, f.map_valid, f.hairpin
                ));
                note(format!("hit ecmp={} dpat={} spat={}", f.ecmp_valid, f.dpat, f.spat));
            }
            match &d.learn {
                Learn::No => {}
                Learn::New(p) => {
                    note(format!("new map={} ecmp={}", p.forward.map_valid, p.forward.ecmp_valid));
                }
                Learn::Repin(p) => {
                    note(format!(
                        "repin map={} ecmp={}",
                        p.forward.map_valid, p.forward.ecmp_valid
                    ));
                }
                Learn::Replace(p) => note(format!("replace map={}", p.forward.map_valid)),
                Learn::ReverseRepin { .. } => note("reverse repin".into()),
                Learn::Move { .. } | Learn::DeadPair { .. } => {}
            }
        }
    }
    for (what, n) in &seen {
        println!("{n:6} {what}");
    }
    let mut wanted: Vec<String> =
        vec!["host trap 1", "host trap 2", "fabric trap 2", "host to host", "host to fabric"]
            .into_iter()
            .chain([
                "fabric to host",
                "reverse repin",
                "repin map=true ecmp=true",
                "repin map=false ecmp=true",
            ])
            .map(String::from)
            .collect();
    for map in [false, true] {
        for ecmp in [false, true] {
            wanted.push(format!("new map={map} ecmp={ecmp}"));
        }
        for reverse in [false, true] {
            for error in [false, true] {
                wanted.push(format!("hit error={error} reverse={reverse} map={map} hairpin=false"));
                wanted.push(format!("hit error={error} reverse={reverse} map=true hairpin=true"));
            }
        }
    }
    // The table never fills here, and the model has no queue.
    wanted.extend(["replace map=true", "replace map=false", "Moved", "Deleted"].map(String::from));
    for rule in Rule::ALL {
        if rule != Rule::TableFull {
            wanted.push(format!("rule {rule:?}"));
        }
    }
    for (reason, name, _) in DropReason::ALL {
        if !matches!(
            reason,
            DropReason::TrapQueueFull
                | DropReason::Disabled
                | DropReason::FlowTableFull
                | DropReason::FlowQueueFull
                | DropReason::TableParity
        ) {
            assert!(
                seen.keys().any(|k| k.ends_with(&format!("drop {name}"))),
                "never dropped: {name}"
            );
        }
    }
    wanted.retain(|w| seen.get(w).is_none_or(|&n| n < 5));
    assert!(wanted.is_empty(), "seldom or never: {wanted:?}");
    assert!(longest > FRAME_MAX_BYTES);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_update_agrees_with_full_sum(words in proptest::collection::vec(any::<u16>(), 4..40), at in 1usize..4, new in any::<u16>()) {
        let bytes = |w: &[u16]| w.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
        let mut after = words.clone();
        after[at] = new;
        let old_sum = checksum(&bytes(&words));
        let mut update = Update::new(old_sum);
        update.word(words[at], new);
        // 0x0000 and 0xffff are the two zeros of one's complement.
        let (a, b) = (update.finish(), checksum(&bytes(&after)));
        prop_assert!(a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0));
    }

    #[test]
    fn no_bytes_upset_the_model(seed in 0u64..50, vif in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut run = Run::new(seed);
        run.model.process(Ingress::Fabric, &bytes);
        run.model.process(Ingress::Host(vif), &bytes);
    }
}
