//! What card and model say of shares of the flow table.

use penstock_abi::table::{FlowKey, FlowShare, FlowShareStats, TableEntry as _, TableId};
use penstock_refmodel::flows::key_of;
use penstock_refmodel::r#gen::Write;

use super::{Board, Failure};

impl Board<'_> {
    /// What both say of the shares that have, or had, anything: the share, the card, the model.
    fn shares(&mut self) -> Result<Vec<(u32, FlowShareStats, FlowShareStats)>, Failure> {
        let shares = self.model.flows().known_shares();
        let stats = self.dut.share_stats(&shares);
        let stats = self.device("reading shares", stats)?;
        let both = |(n, card)| (n, card, self.model.flows().share_stats(n));
        Ok(shares.into_iter().zip(stats).map(both).collect())
    }

    /// They are the same.
    pub(super) fn check_shares(&mut self) -> Result<(), Failure> {
        let shares = self.shares()?;
        match shares.into_iter().find(|(_, card, model)| card != model) {
            Some((n, card, model)) => {
                self.fail(format!("share {n}\n  card  {card:?}\n  model {model:?}"))
            }
            None => Ok(()),
        }
    }

    /// They have refused the same.
    pub(super) fn check_refused(&mut self) -> Result<(), Failure> {
        let shares = self.shares()?;
        match shares.into_iter().find(|(_, card, model)| card.refused != model.refused) {
            Some((n, card, model)) => {
                self.fail(format!("share {n} refused {}, model {}", card.refused, model.refused))
            }
            None => Ok(()),
        }
    }

    /// The model goes on with what the card's shares have, after its flow table was taken over. Whose a pair is that moved since it was
    /// made, the card alone knows: where that leaves the number of pairs open, all pairs of the share are deleted.
    pub(super) fn adopt_shares(&mut self) -> Result<(), Failure> {
        for (n, card, model) in self.shares()? {
            self.model.flows_mut().set_refused(n, card.refused);
            if card.pairs == model.pairs {
                continue;
            }
            let flows = self.model.flows();
            let of_share = flows.iter().map(|(_, f)| f).filter(|f| !f.reverse);
            let of_share = of_share.filter(|f| flows.shares_of(f).iter().any(|share| share == n));
            let keys: Vec<FlowKey> = of_share.map(key_of).collect();
            keys.into_iter().try_for_each(|key| self.delete(key))?;
        }
        // Which pairs have taken from a bucket is open, too.
        let limits = self.model.tables().flow_shares().filter(|(_, limit)| limit.burst != 0);
        let again = |(n, limit): (u32, &FlowShare)| (TableId::FlowShare, n, limit.pack());
        let writes: Vec<Write> = limits.map(again).collect();
        for (table, index, words) in &writes {
            self.model.write(*table, *index, words);
        }
        let written = self.dut.write(&writes);
        self.device("filling buckets", written)
    }
}
