//! What a run does, as data.

use std::fmt::Write as _;

use penstock_abi::age::{Ages, Port};
use penstock_abi::evict::{Evictions, Keep};
use penstock_refmodel::r#gen::{Rng, Traffic, World, Write};
use penstock_refmodel::{Ingress, RefModel};

use crate::shares::{Limits, are_limited};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame arrives, this many cycles after the one before.
    Frame {
        /// By this port.
        ingress: Ingress,
        /// With these bytes.
        frame: Vec<u8>,
        /// Idle cycles before it.
        gap: u8,
    },
    /// Tables change while nothing is in flight.
    Tables(Vec<Write>),
    /// Tables change while frames are in flight.
    Window {
        /// The writes, in order.
        writes: Vec<Write>,
        /// Frames before and during the writes.
        frames: Vec<(Ingress, Vec<u8>)>,
    },
    /// The host deletes a pair of flow entries, this one of all by key.
    Age(u64),
    /// The host deletes a client, this one of all by index.
    Forget(u64),
    /// The host sets how long pairs of flow entries may rest.
    Ages(Ages),
    /// Card time passes, a multiple of [`EPOCH`] units; pairs that are old by then go.
    Pass(u32),
    /// For a moment the flow table is under pressure; pairs that give way go.
    Press(Evictions),
    /// The host enables or disables the data path.
    Enable(bool),
    /// Function-level reset: the data path goes on.
    Reset,
    /// The host writes zeros to the counters of vifs and drops.
    ZeroCounters,
    /// The host clears the whole card; tables follow.
    Clear,
    /// The card becomes idle; flows, counters and tables are compared.
    Check,
}

/// A run: a cleared card is configured, then the steps follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Seed it came from, for messages.
    pub seed: u64,
    /// First configuration.
    pub tables: Vec<Write>,
    /// What follows.
    pub steps: Vec<Step>,
    /// New flows in flight at most; with more than the insertion unit's queue holds, it puts some off.
    pub new_flows: usize,
}

/// Units of card time that pass at once, or a multiple; a run as such takes less than half of one. So of two packets the card and the
/// model agree on how many lie between them, if not on units.
pub const EPOCH: u32 = 1 << 10;

/// New flows in flight that the insertion unit's queue surely holds.
pub const NEW_FLOWS: usize = 12;

/// Likewise of one packet each, with nothing else under way: so a table is filled in a third of the time.
pub const NEW_FLOWS_ALONE: usize = 32;

/// What kind of run a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Frames, about.
    pub frames: usize,
    /// Steps between two changes of tables; 0 = they never change.
    pub change_every: u64,
    /// Tables change under traffic too.
    pub windows: bool,
    /// Jumbo and oversized frames occur.
    pub big_frames: bool,
    /// More new flows at once than the insertion unit takes.
    pub flood: bool,
}

impl Script {
    /// The script of a seed. What frames are made depends on what the model does with those before, never on the card.
    #[must_use]
    pub fn random(seed: u64, options: &Options) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        let tables = world.dump();
        let mut model = RefModel::new();
        model.set_enabled(true);
        for (table, index, words) in &tables {
            model.write(*table, *index, words);
        }
        let mut traffic = Traffic::new(rng.bits(), options.big_frames);
        let ages = random_ages(&mut rng);
        model.flows_mut().set_ages(ages);
        let mut limits = Limits::of(seed, options.flood);
        // Bursts at full rate, a trickle, or both in turns.
        let gaps = rng.of([1, 8, 64, 250]);
        let mut steps = vec![Step::Ages(ages)];
        let mut frames = 0;
        while frames < options.frames {
            if options.change_every != 0 && rng.one_in(options.change_every) {
                let writes = world.change(&mut rng);
                let before = model.clone();
                for (table, index, words) in &writes {
                    model.write(*table, *index, words);
                }
                if options.windows && rng.one_in(2) && !writes.is_empty() && !are_limited(&model) {
                    let inside = window_frames(&mut rng, &mut traffic, &world, &before, &model);
                    for (ingress, frame) in &inside {
                        model.process(*ingress, frame);
                    }
                    frames += inside.len();
                    steps.push(Step::Window { writes, frames: inside });
                } else {
                    steps.push(Step::Tables(writes));
                }
            }
            if rng.one_in(400) {
                steps.push(Step::Check);
            }
            if options.change_every != 0 {
                if let Some(writes) = limits.act(&world, &model) {
                    for (table, index, words) in &writes {
                        model.write(*table, *index, words);
                    }
                    steps.push(Step::Tables(writes));
                }
                host_acts(&mut rng, &mut model, &mut steps);
                if rng.one_in(5000) {
                    model.clear();
                    traffic.card_cleared();
                    let all = world.dump();
                    for (table, index, words) in &all {
                        model.write(*table, *index, words);
                    }
                    steps.extend([Step::Clear, Step::Tables(all)]);
                }
            }
            let burst = if rng.one_in(20) { rng.between(2, 16) as usize } else { 1 };
            let batch = if burst > 1 {
                traffic.burst(&world, burst)
            } else {
                vec![traffic.next_frame(&world)]
            };
            for (ingress, frame) in batch {
                let outcome = model.process(ingress, &frame);
                traffic.feedback(&world, ingress, &frame, &outcome.verdict);
                let gap = if burst > 1 || !rng.one_in(3) { 0 } else { rng.below(gaps) as u8 };
                steps.push(Step::Frame { ingress, frame, gap });
                frames += 1;
            }
        }
        steps.push(Step::Check);
        let new_flows = if options.flood { usize::MAX } else { NEW_FLOWS };
        Self { seed, tables, steps, new_flows }
    }

    /// Frames in it.
    #[must_use]
    pub fn frames(&self) -> usize {
        let count = |s: &Step| match s {
            Step::Frame { .. } => 1,
            Step::Window { frames, .. } => frames.len(),
            _ => 0,
        };
        self.steps.iter().map(count).sum()
    }

    /// The script as text: decoded tables, frames in hexadecimal.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = format!("tables ({}):\n", self.tables.len());
        for w in &self.tables {
            let _ = writeln!(out, "  {}", entry(w));
        }
        let _ = writeln!(out, "steps ({}):", self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            let _ = match step {
                Step::Frame { ingress, frame, gap } => {
                    writeln!(
                        out,
                        "  {i}: {ingress:?} after {gap} cycles, {} bytes\n     {}",
                        frame.len(),
                        hex(frame)
                    )
                }
                Step::Tables(writes) => {
                    let text: Vec<String> = writes.iter().map(entry).collect();
                    writeln!(out, "  {i}: tables\n     {}", text.join("\n     "))
                }
                Step::Window { writes, frames } => {
                    let text: Vec<String> = writes.iter().map(entry).collect();
                    let _ =
                        writeln!(out, "  {i}: tables under traffic\n     {}", text.join("\n     "));
                    for (ingress, frame) in frames {
                        let _ = writeln!(out, "     {ingress:?} {}", hex(frame));
                    }
                    Ok(())
                }
                other => writeln!(out, "  {i}: {other:?}"),
            };
        }
        out
    }
}

/// Frames for a change under traffic: half of them, if there are such, become something else by it. There are enough of
/// them to be still arriving when the writes come.
fn window_frames(
    rng: &mut Rng,
    traffic: &mut Traffic,
    world: &World,
    before: &RefModel,
    after: &RefModel,
) -> Vec<(Ingress, Vec<u8>)> {
    let pool: Vec<_> = (0..rng.between(40, 160)).map(|_| traffic.next_frame(world)).collect();
    let differs = |(ingress, frame): &&(Ingress, Vec<u8>)| {
        before.decide(*ingress, frame).verdict != after.decide(*ingress, frame).verdict
    };
    let affected: Vec<_> = pool.iter().filter(differs).cloned().collect();
    let mut out = Vec::new();
    for frame in pool {
        out.push(frame);
        if let Some(again) = rng.pick(&affected) {
            out.push(again.clone());
        }
    }
    out
}

/// Some epochs for each state and for some ports, or none.
fn random_ages(rng: &mut Rng) -> Ages {
    let mut time = || match rng.below(8) {
        0 => 0,
        n => EPOCH * n as u32 + EPOCH / 2,
    };
    let mut ages = Ages { states: std::array::from_fn(|_| time()), ..Ages::default() };
    ages.by_port = std::array::from_fn(|_| time());
    for (n, (proto, port)) in [(6, 80), (6, 8888), (17, 53), (17, 80)].into_iter().enumerate() {
        ages.ports[2 * n] = Some(Port { proto, port });
    }
    ages
}

/// Some pressure as soon as there is a pair, under which some states give way.
fn random_evictions(rng: &mut Rng) -> Evictions {
    let pressure = rng.between(1, 3);
    let mut keep = || Keep {
        level: rng.below(4) as u8,
        yields: rng.one_in(4),
        time: match rng.below(8) {
            0 => 0,
            n => EPOCH * n as u32 + EPOCH / 2,
        },
    };
    Evictions {
        states: std::array::from_fn(|_| keep()),
        plain: keep(),
        above: std::array::from_fn(|n| u32::from((n as u64) < pressure)),
    }
}

/// Now and then the host deletes a flow, stops the data path for a while, or resets the function.
fn host_acts(rng: &mut Rng, model: &mut RefModel, steps: &mut Vec<Step>) {
    if rng.one_in(120) {
        steps.push(Step::Age(rng.bits()));
    }
    if rng.one_in(200) {
        steps.push(Step::Forget(rng.bits()));
    }
    if rng.one_in(150) {
        let units = EPOCH * rng.between(1, 4) as u32;
        model.pass(units);
        steps.push(Step::Pass(units));
    }
    if rng.one_in(300) {
        let evictions = random_evictions(rng);
        model.press(&evictions);
        steps.push(Step::Press(evictions));
    }
    if rng.one_in(1500) {
        steps.push(Step::Reset);
    }
    if rng.one_in(800) {
        steps.push(Step::ZeroCounters);
    }
    if rng.one_in(if model.is_enabled() { 1500 } else { 40 }) {
        let enabled = !model.is_enabled();
        model.set_enabled(enabled);
        steps.push(Step::Enable(enabled));
    }
}

/// Bytes as hexadecimal, cut after 200.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out: String = bytes.iter().take(200).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > 200 {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}

/// A table write, decoded.
#[must_use]
pub fn entry(write: &Write) -> String {
    use penstock_abi::table::{
        DefaultRoute, EcmpSlot, FipKey, FipMap, Flow, FlowShare, HostRoute, Ilm, NextHop, PlainFip,
        Prefix, PrefixLength, ServiceKey, TableEntry, TableId, TunnelSource, Vif, Vrf,
    };
    let (table, index, w) = write;
    let text = match table {
        TableId::Vif => format!("{:?}", Vif::unpack(w)),
        TableId::Ilm => format!("{:?}", Ilm::unpack(w)),
        TableId::NextHop => format!("{:?}", NextHop::unpack(w)),
        TableId::Ecmp => format!("{:?}", EcmpSlot::unpack(w)),
        TableId::HostRoute => format!("{:?}", HostRoute::unpack(w)),
        TableId::Prefix => format!("{:?}", Prefix::unpack(w)),
        TableId::DefaultRoute => format!("{:?}", DefaultRoute::unpack(w)),
        TableId::PrefixLength => format!("{:?}", PrefixLength::unpack(w)),
        TableId::FipKey => format!("{:?}", FipKey::unpack(w)),
        TableId::FipMap => format!("{:?}", FipMap::unpack(w)),
        TableId::Vrf => format!("{:?}", Vrf::unpack(w)),
        TableId::ServiceKey => format!("{:?}", ServiceKey::unpack(w)),
        TableId::TunnelSource => format!("{:?}", TunnelSource::unpack(w)),
        TableId::PlainFip => format!("{:?}", PlainFip::unpack(w)),
        TableId::FlowShare => format!("{:?}", FlowShare::unpack(w)),
        TableId::Flow => format!("{:?}", Flow::unpack(w)),
        _ => format!("{w:08x?}"),
    };
    format!("[{index}] {text}")
}
