//! What a run compared, and which rules it met.

use penstock_abi::reason::DropReason;
use penstock_abi::share::ONE;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::{Decision, Ended, RefModel, Refusal, Rule, Verdict};

const RULES: usize = Rule::ALL.len();
/// More than there are reasons for drops.
const REASONS: usize = 32;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that went in.
    pub frames: u64,
    /// Frames that left, each compared byte by byte.
    pub frames_out: u64,
    /// Frames that the model dropped.
    pub drops: u64,
    /// Times the card was idle in between.
    pub batches: u64,
    /// Changes of tables under traffic.
    pub windows: u64,
    /// Those in which some frames met the old tables and others the new, by what became of them.
    pub windows_split: u64,
    /// Flow entries compared.
    pub flows: u64,
    /// Digests of tables compared.
    pub digests: u64,
    /// Insertions that the card put off.
    pub deferred: u64,
    /// Pairs for which it found no place in the flow table.
    pub not_placed: u64,
    /// Packets that it dropped because it could not put their insertion off.
    pub refused: u64,
    /// Flows that moved to another tunnel.
    pub moved: u64,
    /// Dead pairs that were deleted.
    pub deleted: u64,
    /// Pairs that were old.
    pub aged: u64,
    /// Pairs that gave way.
    pub evicted: u64,
    /// Events of flows that were heard.
    pub told: u64,
    /// Events that were lost on the way.
    pub lost: u64,
    /// Clients compared.
    pub clients: u64,
    /// What shares of the flow table refused.
    pub shares: Refusals,
    rules: Rules,
    reasons: [u64; REASONS],
}

/// Packets whose pair a share of the flow table refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// That of a vif.
    pub vif: u64,
    /// That of a tunnel.
    pub tunnel: u64,
    /// Both.
    pub both: u64,
    /// One that had all its pairs.
    pub by_pairs: u64,
    /// One whose bucket was empty.
    pub by_bucket: u64,
    /// They were forwarded all the same.
    pub forwarded: u64,
}

impl std::ops::AddAssign for Refusals {
    fn add_assign(&mut self, o: Self) {
        self.vif += o.vif;
        self.tunnel += o.tunnel;
        self.both += o.both;
        self.by_pairs += o.by_pairs;
        self.by_bucket += o.by_bucket;
        self.forwarded += o.forwarded;
    }
}

/// How often each rule was met, in the order of [`Rule::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules([u64; RULES]);

impl Default for Rules {
    fn default() -> Self {
        Self([0; RULES])
    }
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, o: Self) {
        self.frames += o.frames;
        self.frames_out += o.frames_out;
        self.drops += o.drops;
        self.batches += o.batches;
        self.windows += o.windows;
        self.windows_split += o.windows_split;
        self.flows += o.flows;
        self.digests += o.digests;
        self.deferred += o.deferred;
        self.not_placed += o.not_placed;
        self.refused += o.refused;
        self.moved += o.moved;
        self.deleted += o.deleted;
        self.aged += o.aged;
        self.evicted += o.evicted;
        self.told += o.told;
        self.lost += o.lost;
        self.clients += o.clients;
        self.shares += o.shares;
        let add = |a: &mut [u64], b: &[u64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.rules.0, &o.rules.0);
        add(&mut self.reasons, &o.reasons);
    }
}

impl Summary {
    /// Pairs were deleted by the card itself.
    pub(crate) fn ended(&mut self, ended: Ended) {
        self.aged += ended.aged;
        self.evicted += ended.evicted;
    }

    /// A frame was compared that this became of.
    pub(crate) fn met(&mut self, decision: &Decision) {
        if let Some(at) = Rule::ALL.iter().position(|r| decision.rule == Some(*r)) {
            self.rules.0[at] += 1;
        }
        if let Verdict::Dropped(reason) = decision.verdict {
            self.reasons[reason as usize] += 1;
        }
    }

    /// The same, of shares of the flow table; the model has not counted it yet.
    pub(crate) fn met_shares(&mut self, model: &RefModel, decision: &Decision) {
        let Some(Refusal { over, .. }) = decision.refusal else { return };
        self.shares.vif += u64::from(over.vif.is_some());
        self.shares.tunnel += u64::from(over.tunnel.is_some());
        self.shares.both += u64::from(over.vif.is_some() && over.tunnel.is_some());
        self.shares.forwarded += u64::from(decision.deferred);
        for n in over.iter() {
            let limit = model.tables().flow_share(n).copied().unwrap_or_default();
            let bucket = model.flows().bucket(n);
            self.shares.by_bucket += u64::from(limit.burst != 0 && bucket < ONE);
            let has = model.flows().share_stats(n).pairs;
            self.shares.by_pairs += u64::from(limit.pairs != 0 && has >= limit.pairs);
        }
    }

    /// A request was executed.
    pub(crate) fn executed(&mut self, inserted: Option<Inserted>) {
        self.moved += u64::from(inserted == Some(Inserted::Moved));
        self.deleted += u64::from(inserted == Some(Inserted::Deleted));
    }

    /// How often a drop for this reason was expected.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.reasons[reason as usize]
    }

    /// Rules and reasons for drops that random packets must meet, and did not. A full flow table and full queues take frames made
    /// for them, and no bit of these cards flips.
    #[must_use]
    pub fn never_met(&self) -> Vec<String> {
        use DropReason::{FlowQueueFull, FlowTableFull, TableParity, TrapQueueFull};
        let rules = Rule::ALL.iter().zip(self.rules.0);
        let rules = rules.filter(|(r, n)| *n == 0 && **r != Rule::TableFull);
        let reasons = DropReason::ALL.iter().map(|(reason, ..)| reason).filter(|reason| {
            let special =
                matches!(reason, FlowQueueFull | FlowTableFull | TableParity | TrapQueueFull);
            self.dropped(**reason) == 0 && !special
        });
        let mut out: Vec<String> = rules.map(|(r, _)| format!("{r:?}")).collect();
        out.extend(reasons.map(|r| format!("drop {r:?}")));
        out.extend((self.moved == 0).then(|| "a move".to_owned()));
        let Refusals { vif, tunnel, both, by_pairs, by_bucket, forwarded } = self.shares;
        for (n, what) in [
            (vif, "a vif's share over its limit"),
            (tunnel, "a tunnel's share over its limit"),
            (both, "two shares over their limit"),
            (by_pairs, "a share with all its pairs"),
            (by_bucket, "a share with an empty bucket"),
            (forwarded, "a packet without a pair for its share"),
        ] {
            out.extend((n == 0).then(|| what.to_owned()));
        }
        out.extend((self.deleted == 0).then(|| "a dead pair".to_owned()));
        out
    }
}
