//! The scoreboard itself: the model against a faithful copy passes, against a copy with one defect it does not.

use penstock_abi::reason::DropReason;
use penstock_refmodel::{Decision, Egress, Ingress, Learn, Verdict};
use penstock_tests::board::{Failure, Summary, run};
use penstock_tests::dut::ModelDut;
use penstock_tests::script::{Options, Script, Step};
use penstock_tests::shrink::shrink;

const OPTIONS: Options =
    Options { frames: 1500, change_every: 60, windows: true, big_frames: true, flood: false };

#[test]
fn a_faithful_copy_passes() {
    let mut sum = Summary::default();
    for seed in 0..40 {
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

#[test]
fn scripts_follow_from_their_seed() {
    assert_eq!(Script::random(5, &OPTIONS), Script::random(5, &OPTIONS));
    assert_ne!(Script::random(5, &OPTIONS).steps, Script::random(6, &OPTIONS).steps);
}

/// The first failure that a defect causes, over some seeds.
fn caught(defect: fn(Ingress, &[u8], &mut Decision)) -> Option<(Script, Failure)> {
    (0..12).find_map(|seed| {
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
