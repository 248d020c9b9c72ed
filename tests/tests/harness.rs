//! The scoreboard itself: the model against a faithful copy passes, against a copy with one defect it does not.

mod collisions;
mod look_ups;

use std::collections::HashMap;

use penstock_abi::reason::DropReason;
use penstock_abi::table::TableId;
use penstock_refmodel::checksum::checksum;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::parse::Bytes;
use penstock_refmodel::{Decision, Egress, Fault, Ingress, Learn, Rule, Verdict};
use penstock_tests::board::{Failure, Summary, run};
use penstock_tests::dut::{Dut as _, ModelDut};
use penstock_tests::late::{Flaw, LateDut};
use penstock_tests::script::{Options, Script, Step};
use penstock_tests::shrink::shrink;
use penstock_tests::storm::{self, Storm, Weather};

const OPTIONS: Options =
    Options { frames: 1500, change_every: 60, windows: true, big_frames: true, flood: false };

const STORM: Storm = Storm { seed: 0, rounds: 120, full_table: false };

#[test]
fn a_faithful_copy_passes() {
    let mut sum = Summary::default();
    for seed in 0..70 {
        let script = Script::random(seed, &OPTIONS);
        sum += run(&script, &mut ModelDut::new()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    println!("{sum:?}");
    assert_eq!(sum.never_met(), Vec::<String>::new());
    assert!(
        sum.frames > 40_000
            && sum.windows > 120
            && sum.flows > 10_000
            && sum.drops * 2 < sum.frames
    );
    // Batches must be long enough to load the card.
    assert!(sum.frames / sum.batches >= 4, "{sum:?}");
}

/// Requests that are executed late, and ports that meet in any order, must not show.
#[test]
fn a_late_copy_passes() {
    let mut sum = Summary::default();
    for seed in 0..41 {
        let options = Options { windows: seed % 2 == 0, ..OPTIONS };
        let script = Script::random(seed, &options);
        sum += run(&script, &mut LateDut::new(seed)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    println!("{sum:?}");
    assert!(sum.windows_split >= 10, "{sum:?}");
}

#[test]
fn a_late_copy_passes_floods() {
    let mut sum = Summary::default();
    for seed in 100..110 {
        let script = Script::random(seed, &Options { windows: false, flood: true, ..OPTIONS });
        sum += run(&script, &mut LateDut::new(seed)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for script in [collisions::flood(1000), collisions::flood_of_service(1000)] {
            sum += run(&script, &mut LateDut::new(seed)).unwrap_or_else(|e| panic!("{seed}: {e}"));
        }
    }
    assert!(sum.deferred > 0 && sum.refused > 0, "{sum:?}");
}

/// Without the one entry that it is for, each of the frames goes another way.
#[test]
fn each_look_up_has_a_frame_that_needs_it() {
    for (entry, frame) in look_ups::needs() {
        let (table, index, _) = entry;
        let reaches = |with: bool| {
            let mut model = penstock_refmodel::RefModel::new();
            model.set_enabled(true);
            let tables = look_ups::tables();
            for (t, i, words) in tables.iter().filter(|e| with || (e.0, e.1) != (table, index)) {
                assert!(model.write(*t, *i, words));
            }
            let (ingress, frame) = frame(0);
            let verdict = model.process(ingress, &frame).verdict;
            matches!(verdict, Verdict::Sent { egress: Egress::Host(look_ups::OUT), .. })
        };
        assert!(reaches(true) && !reaches(false), "{table:?}");
    }
}

#[test]
fn a_storm_leaves_connections_whole() {
    let mut sum = Weather::default();
    for seed in 0..20 {
        let storm = Storm { seed, ..STORM };
        sum += storm::run(&mut LateDut::new(seed), &storm)
            .unwrap_or_else(|e| panic!("seed {seed}: {e:#}"));
    }
    println!("{sum:?}");
    assert_eq!(sum.never_met(), Vec::<&str>::new(), "{sum:?}");
    // Exceptions must stay what they are.
    assert!(sum.replies > 5000 && sum.loose_replies * 2 < sum.replies, "{sum:?}");
    assert!(sum.excused * 50 < sum.replies, "{sum:?}");
}

#[test]
fn a_storm_over_a_full_table_leaves_connections_whole() {
    let storm = Storm { full_table: true, ..STORM };
    let weather = storm::run(&mut LateDut::new(0), &storm).unwrap_or_else(|e| panic!("{e:#}"));
    println!("{weather:?}");
    assert!(weather.table_full > 100 && weather.replies > 300, "{weather:?}");
}

#[test]
fn a_storm_shows_what_is_not_whole() {
    let defects: [Defect; 7] = [
        ("replies that lost their flow", |_, f, d| {
            if d.verdict == Verdict::Dropped(DropReason::FlowUnusable) {
                tunnelled_as_it_is(f, d);
            }
        }),
        ("ICMP errors that lost their flow", |_, f, d| {
            if d.rule == Some(Rule::MarkedError) {
                tunnelled_as_it_is(f, d);
            }
        }),
        ("ICMP errors from the pod's own address", |_, f, d| {
            let translated = d.icmp_error && d.translated;
            if let Some((egress, out)) = sent(d).filter(|_| translated) {
                let ip = if *egress == Egress::Fabric { 46 } else { 14 };
                out[ip + 12..ip + 16].copy_from_slice(&f[26..30]);
                out[ip + 10..ip + 12].fill(0);
                let sum = checksum(&out[ip..ip + 20]).to_be_bytes();
                out[ip + 10..ip + 12].copy_from_slice(&sum);
            }
        }),
        ("requests untranslated when the queue is full", |ingress, f, d| {
            if d.verdict == Verdict::Dropped(DropReason::FlowQueueFull) {
                let ip = if ingress == Ingress::Fabric { 46 } else { 14 };
                let frame = [&[0; 14], &f[ip..]].concat();
                d.verdict = Verdict::Sent { egress: Egress::Host(5), frame };
            }
        }),
        ("pairs of two connections", |_, _, d| {
            if let Some(p) = pair(d) {
                p.reverse.map_valid = false;
            }
        }),
        ("strangers", |_, _, d| {
            d.counts_on_flow |= d.rule == Some(Rule::TunnelOfFlow);
        }),
        ("drops that are sent", |_, f, d| {
            if d.rule == Some(Rule::Clash) {
                d.verdict = Verdict::Sent { egress: Egress::Host(9), frame: f.to_vec() };
            }
        }),
    ];
    for (name, defect) in defects {
        let failure = |seed| {
            let storm = Storm { seed, ..STORM };
            storm::run(&mut LateDut::spoiled(seed, defect), &storm).err()
        };
        let failure = (0..8).find_map(failure).map(|e| format!("{e:#}"));
        println!("{name}: {failure:?}");
        assert!(failure.is_some(), "not seen: {name}");
    }
}

#[test]
fn a_storm_shows_what_is_out_of_order() {
    let flaws =
        [Flaw::FullQueuePasses, Flaw::LaterPairSteals, Flaw::RepliesOvertake, Flaw::HalfDeleted];
    for flaw in flaws {
        let failure = |seed| {
            let storm = Storm { seed, ..STORM };
            storm::run(&mut LateDut::flawed(seed, flaw), &storm).err()
        };
        let failure = (0..8).find_map(failure).map(|e| format!("{e:#}"));
        println!("{flaw:?}: {failure:?}");
        assert!(failure.is_some(), "not seen: {flaw:?}");
    }
}

/// A packet by a tunnel that is nobody's writes the pair of the flow that it names.
#[test]
fn a_storm_shows_a_pair_that_a_stranger_took() {
    let shows = |seed| {
        let mut pairs = HashMap::new();
        let take = move |_: Ingress, f: &[u8], d: &mut Decision| {
            if let Some(p) = pair(d) {
                pairs.insert(key_of(&p.forward), *p);
            }
            let known = d.lookup.and_then(|key| pairs.get(&key));
            if let Some(known) = known.filter(|_| d.rule == Some(Rule::TunnelOfFlow)) {
                let mut stolen = *known;
                stolen.forward.src_info = Bytes(f).u32(26);
                d.learn = Learn::Replace(stolen);
            }
        };
        storm::run(&mut LateDut::spoiled(seed, take), &Storm { seed, ..STORM }).is_err()
    };
    assert!((0..8).any(shows), "not seen");
}

/// What a vif sent leaves for the fabric, not translated.
fn tunnelled_as_it_is(frame: &[u8], d: &mut Decision) {
    let mut out = vec![0; 46];
    out.extend_from_slice(&frame[14..]);
    d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: out };
}

#[test]
fn scripts_follow_from_their_seed() {
    assert_eq!(Script::random(5, &OPTIONS), Script::random(5, &OPTIONS));
    assert_ne!(Script::random(5, &OPTIONS).steps, Script::random(6, &OPTIONS).steps);
}

/// The first failure that a defect causes, over some seeds.
fn caught(defect: fn(Ingress, &[u8], &mut Decision)) -> Option<(Script, Failure)> {
    (0..100).find_map(|seed| {
        let script = Script::random(seed, &OPTIONS);
        let failure = run(&script, &mut ModelDut::spoiled(defect)).err()?;
        Some((script, failure))
    })
}

fn sent(d: &mut Decision) -> Option<(&Egress, &mut Vec<u8>)> {
    match &mut d.verdict {
        Verdict::Sent { egress, frame } => Some((egress, frame)),
        Verdict::Dropped(_) => None,
    }
}

fn pair(d: &mut Decision) -> Option<&mut penstock_refmodel::flows::Pair> {
    match &mut d.learn {
        Learn::New(p) | Learn::Replace(p) | Learn::Repin(p) => Some(p),
        _ => None,
    }
}

type Defect = (&'static str, fn(Ingress, &[u8], &mut Decision));

const DEFECTS: &[Defect] = &[
    ("one bit of a translated hairpin packet", |_, _, d| {
        if pair(d).is_some_and(|p| p.forward.hairpin)
            && let Some((_, f)) = sent(d)
        {
            f[30] ^= 1;
        }
    }),
    ("a wrong port", |_, _, d| {
        if d.tcp_flags == Some(0x07)
            && let Verdict::Sent { egress: Egress::Host(vif), .. } = &mut d.verdict
        {
            *vif ^= 1;
        }
    }),
    ("padding left on long frames", |_, _, d| {
        if let Some((Egress::Host(_), f)) = sent(d)
            && f.len() > 8000
        {
            f.push(0);
        }
    }),
    ("a drop reason", |_, _, d| {
        if d.verdict == Verdict::Dropped(DropReason::PacketLoop) {
            d.verdict = Verdict::Dropped(DropReason::Discard);
        }
    }),
    ("silent loss", |_, f, d| {
        if f.len() == 77 {
            d.verdict = Verdict::Dropped(DropReason::Discard);
        }
    }),
    ("SCTP flows not learned", |_, _, d| {
        if pair(d).is_some_and(|p| p.forward.proto == 132) {
            d.learn = Learn::No;
        }
    }),
    ("pinned under the wrong generation", |_, _, d| {
        if let Some(p) = pair(d).filter(|p| p.forward.ecmp_generation == 3) {
            p.forward.ecmp_generation = 0;
        }
    }),
    ("reply direction not marked", |_, _, d| {
        if let Some(p) = pair(d) {
            p.reverse.reverse = false;
        }
    }),
    ("ICMP errors not counted on flows", |_, _, d| {
        d.counts_on_flow &= !d.icmp_error;
    }),
    ("re-pins not done", |_, _, d| {
        if matches!(d.learn, Learn::Repin(_)) {
            d.learn = Learn::No;
        }
    }),
    ("frames forwarded while disabled", |_, f, d| {
        if d.verdict == Verdict::Dropped(DropReason::Disabled) {
            d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: f.to_vec() };
        }
    }),
    ("moves not done", |_, _, d| {
        if matches!(d.learn, Learn::Move { .. }) {
            d.learn = Learn::No;
        }
    }),
    ("dead pairs left", |_, _, d| {
        if matches!(d.learn, Learn::DeadPair { .. }) {
            d.learn = Learn::No;
        }
    }),
    ("a stranger's tunnel taken over at once", |_, f, d| {
        if d.rule == Some(Rule::TunnelOfFlow) {
            d.verdict = Verdict::Sent { egress: Egress::Host(1), frame: f.to_vec() };
        }
    }),
    ("strangers counted on the flow", |_, _, d| {
        d.counts_on_flow |= d.rule == Some(Rule::TunnelOfFlow);
    }),
    ("first fragments of tunnel packets forgotten", |_, _, d| d.first_fragment = None),
    ("connections that are over not begun anew", |_, _, d| {
        if matches!(d.learn, Learn::Replace(_)) {
            d.learn = Learn::No;
        }
    }),
    ("a new connection inherits statistics", |_, _, d| {
        if let Learn::Replace(p) = d.learn {
            d.learn = Learn::Repin(p);
        }
    }),
    ("a plain connection not followed to its new place", |_, _, d| {
        if d.rule == Some(Rule::PlainPairMoved) {
            d.learn = Learn::No;
        }
    }),
    ("bare SYNs leave a draining member for once only", |_, _, d| {
        if d.rule == Some(Rule::SynLeavesDraining) {
            d.learn = Learn::No;
        }
    }),
    ("evicted UDP flows not pinned anew", |_, _, d| {
        if d.rule == Some(Rule::UdpEvicted) {
            d.learn = Learn::No;
        }
    }),
    ("own sources let through", |_, f, d| {
        if d.rule == Some(Rule::SourceCheck) {
            d.verdict = Verdict::Sent { egress: Egress::Host(3), frame: f.to_vec() };
        }
    }),
    ("tagged frames of pods taken for untagged", |_, _, d| {
        if d.rule == Some(Rule::Tagged) {
            d.verdict = Verdict::Dropped(DropReason::NoFipPortMap);
        }
    }),
    ("an embedded TCP checksum left alone", |_, _, d| {
        let icmp_error = d.icmp_error && d.translated;
        if let Some((Egress::Host(_), f)) = sent(d)
            && icmp_error
            && f.len() >= 14 + 66
            && f[14 + 28 + 9] == 6
        {
            f[14 + 64] ^= 1;
        }
    }),
    ("the limit of what leaves not kept", |_, f, d| {
        if d.verdict == Verdict::Dropped(DropReason::EgressOversize) {
            d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: f.to_vec() };
        }
    }),
    ("replies without their flow let through", |_, f, d| {
        if d.rule == Some(Rule::MarkedReply) {
            d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: f.to_vec() };
        }
    }),
    ("packets that a share refused not counted", |_, _, d| d.refusal = None),
    ("what a share refused let through", |_, f, d| {
        if d.verdict == Verdict::Dropped(DropReason::FlowQuota) {
            d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: f.to_vec() };
        }
    }),
    ("clients put down for another member", |_, _, d| {
        if let Some(p) = pair(d).filter(|p| p.client.is_some()) {
            p.forward.ecmp_slot ^= 1;
        }
    }),
    ("clients put down under another number", |_, _, d| {
        if let Some(client) = pair(d).and_then(|p| p.client.as_mut()) {
            client.key.number ^= 1;
        }
    }),
    ("clients without a time-out", |_, _, d| {
        if let Some(client) = pair(d).and_then(|p| p.client.as_mut()) {
            client.timeout = 0;
        }
    }),
    ("FIN not recorded", |_, _, d| {
        if let Some(flags) = &mut d.tcp_flags {
            *flags &= !1;
        }
    }),
];

#[test]
fn every_defect_is_caught() {
    for (name, defect) in DEFECTS {
        assert!(caught(*defect).is_some(), "not caught: {name}");
    }
}

/// Each of these faults of a card's shows in some script.
fn all_are_caught(mut missed: Vec<Fault>) {
    for seed in 0..160 {
        let script = Script::random(seed, &Options { big_frames: false, ..OPTIONS });
        missed.retain(|fault| run(&script, &mut ModelDut::planted(*fault)).is_ok());
        if missed.is_empty() {
            return;
        }
    }
    panic!("not caught: {missed:?}");
}

/// What the defects of a packet cannot show: which client a card has. Rarer ones are the reference model's own stories' to tell.
#[test]
fn faults_of_clients_are_caught() {
    all_are_caught(vec![
        Fault::ClientsAreForgotten,
        Fault::DrainingKeepsClients,
        Fault::ClientsOfAnyGeneration,
        Fault::LostClientsAreHashed,
        Fault::LabelHasAffinity,
        Fault::GroupsNeedNoTimeout,
        Fault::ClientsAreNotRenewed,
        Fault::MembersAreKept,
        Fault::ClientsStay,
        Fault::ForgottenReturn,
        Fault::ClientsGoEarly,
        Fault::NumbersAreOne,
        Fault::ExpiredTakeRoom,
    ]);
}

/// Nor what the card tells.
#[test]
fn faults_of_events_are_caught() {
    all_are_caught(vec![
        Fault::EvictedIsAged,
        Fault::ReplacedIsSilent,
        Fault::KeysAsAsked,
        Fault::OneDirectionIsTold,
        Fault::RepinnedIsMade,
        Fault::MovesAreSilent,
        Fault::LearnOffIsTold,
    ]);
}

/// The limit for new flows that translate, on both sides of it.
#[test]
fn a_table_that_is_nearly_full_is_compared() {
    let script = collisions::nearly_full(ModelDut::new().shape());
    let summary = run(&script, &mut ModelDut::new()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.dropped(DropReason::FlowTableFull), 1, "{summary:?}");
    let generous = |_: Ingress, f: &[u8], d: &mut Decision| {
        if d.verdict == Verdict::Dropped(DropReason::FlowTableFull) {
            d.verdict = Verdict::Sent { egress: Egress::Fabric, frame: f.to_vec() };
        }
    };
    assert!(run(&script, &mut ModelDut::spoiled(generous)).is_err());
}

/// No frame need ever meet the entry.
#[test]
fn a_bit_of_a_table_that_turns_over_is_caught_at_once() {
    let script = Script::random(3, &Options { frames: 50, ..OPTIONS });
    let summary = run(&script, &mut ModelDut::new()).unwrap_or_else(|e| panic!("{e}"));
    assert!(summary.digests > 16, "{summary:?}");
    for bit in [0, 1, 31, 32, 207] {
        let failure =
            run(&script, &mut ModelDut::bent(TableId::NextHop, bit)).expect_err("a bit is wrong");
        assert!(failure.what.contains("digest of NextHop differs"), "bit {bit}: {failure}");
        assert_eq!(failure.step, 0, "bit {bit}");
    }
}

#[test]
fn a_failing_script_shrinks_to_its_cause() {
    let defect = DEFECTS[0].1;
    let (script, failure) = caught(defect).expect("caught");
    let shrunk = shrink(&script, failure, 300, |s| run(s, &mut ModelDut::spoiled(defect)).err());
    let frames = shrunk.script.frames();
    println!("{}\n{}", shrunk.failure, shrunk.script.describe());
    assert!(frames <= 3, "{frames} frames are left");
    assert!(
        shrunk.script.tables.len() < 40,
        "{} table entries are left",
        shrunk.script.tables.len()
    );
    assert!(
        shrunk.script.steps.iter().any(|s| matches!(s, Step::Frame { .. } | Step::Window { .. }))
    );
    assert!(run(&shrunk.script, &mut ModelDut::new()).is_ok(), "the faithful copy passes it");
}
