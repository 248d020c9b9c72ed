//! The device under test, as the scoreboard sees it.

use anyhow::Result;
use penstock_abi::age::Ages;
use penstock_abi::evict::Evictions;
use penstock_abi::hash::FlowSecret;
use penstock_abi::reason::CardCounter;
use penstock_abi::ring::FlowEvent;
use penstock_abi::table::{Affinity, Flow, FlowShareStats, FlowStats, TableId};
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::{Counters, Decision, Egress, Fault, Ingress, RefModel, Verdict};
use penstock_tables::Shape;

use crate::digests;

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutFrame {
    /// vif; 0 is the fabric.
    pub vif: u8,
    /// Its bytes.
    pub frame: Vec<u8>,
}

/// What a card told of its flow table.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Of pairs, and of packets that got none, in order.
    pub flows: Vec<FlowEvent>,
    /// The pressure each time that it changed.
    pub pressures: Vec<u8>,
    /// Events that were lost, since the ring began.
    pub dropped: u32,
}

/// What the scoreboard needs of a card.
pub trait Dut {
    /// The sizes of its tables.
    fn shape(&self) -> Shape;

    /// The secret by which it places flows and clients.
    fn secret(&self) -> FlowSecret {
        FlowSecret::default()
    }

    /// Writes table entries in order; returns when all are done. Frames on their way move on meanwhile.
    ///
    /// # Errors
    /// The device's.
    fn write(&mut self, writes: &[Write]) -> Result<()>;

    /// Hands over a frame; it enters as soon as those before it have.
    fn inject(&mut self, ingress: Ingress, frame: &[u8]);

    /// Lets time pass.
    fn wait(&mut self, cycles: u32);

    /// Runs until nothing is in flight, insertions included.
    ///
    /// # Errors
    /// It does not end, or a check within the device failed.
    fn drain(&mut self) -> Result<()>;

    /// Frames that left since this was last called, in order for each port.
    fn take_frames(&mut self) -> Vec<OutFrame>;

    /// All valid flow entries, by index.
    ///
    /// # Errors
    /// The device's.
    fn flows(&mut self) -> Result<Vec<(u32, Flow, FlowStats)>>;

    /// All valid entries of the table of clients, by index.
    ///
    /// # Errors
    /// The device's.
    fn clients(&mut self) -> Result<Vec<(u32, Affinity)>>;

    /// Counters of these vifs, of all reasons, and of the card.
    ///
    /// # Errors
    /// The device's.
    fn counters(&mut self, vifs: &[u8]) -> Result<Counters>;

    /// What these shares of the flow table have.
    ///
    /// # Errors
    /// The device's.
    fn share_stats(&mut self, shares: &[u32]) -> Result<Vec<FlowShareStats>>;

    /// All valid entries of the tables that the host writes, in the order of table and index.
    ///
    /// # Errors
    /// The device's.
    fn tables(&mut self) -> Result<Vec<Write>>;

    /// The digest of a table that the host writes, as the device itself says it.
    ///
    /// # Errors
    /// The device's.
    fn digest(&mut self, table: TableId) -> Result<u64> {
        Ok(digests::digest(table, &self.tables()?))
    }

    /// `CONTROL.enable`.
    ///
    /// # Errors
    /// The device's.
    fn set_enabled(&mut self, enabled: bool) -> Result<()>;

    /// Function-level reset.
    ///
    /// # Errors
    /// The device's.
    fn reset(&mut self) -> Result<()>;

    /// Clears tables, flows and counters.
    ///
    /// # Errors
    /// The device's.
    fn clear(&mut self) -> Result<()>;

    /// Sets how long pairs of flow entries may rest.
    ///
    /// # Errors
    /// The device's.
    fn set_ages(&mut self, ages: &Ages) -> Result<()>;

    /// Puts the flow table under pressure, with nothing happening but that pairs give way.
    ///
    /// # Errors
    /// It does not end, or a check within the device failed.
    fn press(&mut self, evictions: &Evictions) -> Result<()>;

    /// Lets card time pass, in units of `last_hit`, with nothing in it but that pairs become old.
    ///
    /// # Errors
    /// It does not end, or a check within the device failed.
    fn pass(&mut self, units: u32) -> Result<()>;

    /// Writes zeros to the counters of these vifs and of all drops.
    ///
    /// # Errors
    /// The device's.
    fn zero_counters(&mut self, vifs: &[u8]) -> Result<()>;

    /// Requests that were forgotten so far.
    ///
    /// # Errors
    /// The device's.
    fn deferred(&mut self) -> Result<u64>;

    /// Whether it tells of its flow table.
    fn tells(&self) -> bool {
        false
    }

    /// What it told of its flow table since this was last called; nothing of one that does not.
    ///
    /// # Errors
    /// The device's.
    fn heard(&mut self) -> Result<Option<Heard>> {
        Ok(None)
    }

    /// Pairs for which it found no place so far.
    ///
    /// # Errors
    /// The device's.
    fn not_placed(&mut self) -> Result<u64> {
        Ok(0)
    }
}

/// Sizes of the model in the place of a card: tables that a test can fill.
pub(crate) fn small() -> Shape {
    Shape::default().with_flow_rows_log2(10).with_affinity_rows_log2(2)
}

/// Changes a decision of the model, to see whether the scoreboard notices.
pub type Spoil = Box<dyn FnMut(Ingress, &[u8], &mut Decision)>;

/// The reference model in the place of a card.
pub struct ModelDut {
    model: RefModel,
    out: Vec<OutFrame>,
    spoil: Option<Spoil>,
    bent: Option<(TableId, usize)>,
    ages: Option<Ages>,
}

impl ModelDut {
    /// A faithful one.
    #[must_use]
    pub fn new() -> Self {
        let mut model = RefModel::of(small());
        model.set_enabled(true);
        model.flows_mut().listen();
        Self { model, out: Vec::new(), spoil: None, bent: None, ages: None }
    }

    /// One with a defect.
    #[must_use]
    pub fn spoiled(spoil: impl FnMut(Ingress, &[u8], &mut Decision) + 'static) -> Self {
        Self { spoil: Some(Box::new(spoil)), ..Self::new() }
    }

    /// One that breaks a rule.
    #[must_use]
    pub fn planted(fault: Fault) -> Self {
        let mut dut = Self::new();
        dut.model.plant(fault);
        dut
    }

    /// One in whose memory this bit of the last entry of a table is turned over. No packet sees it, nor does reading back.
    #[must_use]
    pub fn bent(table: TableId, bit: usize) -> Self {
        Self { bent: Some((table, bit)), ..Self::new() }
    }

    /// One that keeps pairs for these times, whatever it is told.
    #[must_use]
    pub fn stubborn(ages: Ages) -> Self {
        Self { ages: Some(ages), ..Self::new() }
    }
}

impl Default for ModelDut {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ModelDut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelDut").field("spoiled", &self.spoil.is_some()).finish_non_exhaustive()
    }
}

impl Dut for ModelDut {
    fn shape(&self) -> Shape {
        small()
    }

    fn write(&mut self, writes: &[Write]) -> Result<()> {
        for (table, index, words) in writes {
            anyhow::ensure!(
                self.model.write(*table, *index, words),
                "write to {table:?}[{index}] refused"
            );
        }
        Ok(())
    }

    fn inject(&mut self, ingress: Ingress, frame: &[u8]) {
        let mut decision = self.model.decide(ingress, frame);
        if let Some(spoil) = &mut self.spoil {
            spoil(ingress, frame, &mut decision);
        }
        let outcome = self.model.commit(ingress, frame.len(), decision);
        if let Verdict::Sent { egress, frame } = outcome.verdict {
            let vif = match egress {
                Egress::Fabric => 0,
                Egress::Host(vif) => vif,
                Egress::Firmware { .. } => return,
            };
            self.out.push(OutFrame { vif, frame });
        }
    }

    fn wait(&mut self, _cycles: u32) {}

    fn drain(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_frames(&mut self) -> Vec<OutFrame> {
        std::mem::take(&mut self.out)
    }

    fn flows(&mut self) -> Result<Vec<(u32, Flow, FlowStats)>> {
        let flows = self.model.flows();
        let stats =
            |f: &Flow| flows.stats(&penstock_refmodel::flows::key_of(f)).unwrap_or_default();
        Ok(flows.iter().map(|(i, f)| (i, *f, stats(f))).collect())
    }

    fn clients(&mut self) -> Result<Vec<(u32, Affinity)>> {
        Ok(self.model.clients().iter().map(|(index, entry)| (index, *entry)).collect())
    }

    fn counters(&mut self, _vifs: &[u8]) -> Result<Counters> {
        Ok(self.model.counters().clone())
    }

    fn share_stats(&mut self, shares: &[u32]) -> Result<Vec<FlowShareStats>> {
        Ok(shares.iter().map(|&share| self.model.flows().share_stats(share)).collect())
    }

    fn tables(&mut self) -> Result<Vec<Write>> {
        Ok(self.model.tables().dump())
    }

    fn digest(&mut self, table: TableId) -> Result<u64> {
        let mut entries = self.model.tables().dump();
        if let Some((bent, bit)) = self.bent
            && let Some((_, _, words)) = entries.iter_mut().rfind(|w| w.0 == bent)
        {
            words[bit / 32] ^= 1 << (bit % 32);
        }
        Ok(digests::digest(table, &entries))
    }

    fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        self.model.set_enabled(enabled);
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.model.clear();
        Ok(())
    }

    fn zero_counters(&mut self, _vifs: &[u8]) -> Result<()> {
        self.model.zero_counters();
        Ok(())
    }

    fn set_ages(&mut self, ages: &Ages) -> Result<()> {
        self.model.flows_mut().set_ages(self.ages.unwrap_or(*ages));
        Ok(())
    }

    fn press(&mut self, evictions: &Evictions) -> Result<()> {
        self.model.press(evictions);
        Ok(())
    }

    fn pass(&mut self, units: u32) -> Result<()> {
        self.model.pass(units);
        Ok(())
    }

    fn deferred(&mut self) -> Result<u64> {
        Ok(self.model.counters().card(CardCounter::LearnDeferred))
    }

    fn tells(&self) -> bool {
        true
    }

    fn heard(&mut self) -> Result<Option<Heard>> {
        let flows = self.model.flows_mut();
        let (told, pressures) = (flows.take_told(), flows.take_pressures());
        let flows = told.iter().map(penstock_refmodel::events::Told::event).collect();
        Ok(Some(Heard { flows, pressures, dropped: 0 }))
    }
}
