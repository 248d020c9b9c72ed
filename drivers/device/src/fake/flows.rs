//! What a card does with its flow table besides keeping it.

use penstock_abi::hash::FlowSecret;
use penstock_abi::table::{Flow, TableId};
use penstock_tables::Entry;

use super::{FakeCard, State};

impl FakeCard {
    /// The secret under which flows are placed.
    #[must_use]
    pub fn flow_secret(&self) -> FlowSecret {
        self.lock().secret_in_force
    }
}

impl State {
    /// Pairs of flow entries go together.
    pub(super) fn delete_partner(&mut self, table: TableId, index: u32) {
        let flow = self.tables.get::<Flow>(index).copied();
        let Some(flow) = flow.filter(|flow| table == TableId::Flow && flow.valid) else { return };
        let other = |f: &Flow| f.valid && f.pair == flow.pair && f.reverse != flow.reverse;
        let at = self.tables.of::<Flow>().iter().find(|(_, f)| other(f)).map(|(at, _)| at);
        if let Some(at) = at {
            self.tables.set(at, Entry::clear(TableId::Flow));
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::ring::Status;
    use penstock_abi::table::{Flow, Ilm, TableId};
    use penstock_tables::{Op, Tables};

    use super::super::FakeCard;
    use crate::card::Card;

    /// What a vif that comes to another VRF needs: the pairs of its next hop go, whichever of the two has it; others stay.
    #[test]
    fn flows_of_a_next_hop_are_forgotten_between_what_stands_around_it() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        let flow = |pair, reverse, nh| Flow { valid: true, pair, reverse, nh, ..Flow::default() };
        for (index, entry) in [
            (8, flow(1, false, 7)),
            (500, flow(1, true, 9)),
            (16, flow(2, false, 8)),
            (60_000, flow(2, true, 7)),
            (24, flow(3, false, 8)),
            (32, flow(3, true, 9)),
        ] {
            fake.set_entry(index, entry);
        }
        let word = |vrf| Ilm { valid: true, vrf, ..Ilm::default() };
        let ops =
            [Op::write(30, word(1)), Op::Fence, Op::Forget { key_nh: 7 }, Op::write(31, word(2))];
        let mut mirror = fake.tables();
        card.apply(&ops).unwrap();
        let left = |tables: &Tables| tables.of::<Flow>().indices().collect::<Vec<_>>();
        assert_eq!(left(&fake.tables()), [24, 32]);
        assert_eq!(fake.tables().of::<Ilm>().indices().collect::<Vec<_>>(), [30, 31]);
        // As a mirror takes it.
        ops.iter().for_each(|op| mirror.apply(op));
        assert_eq!(left(&mirror), [24, 32]);
        // Nothing behind what the card refuses is done.
        fake.refuse_writes(Some((TableId::Ilm, Status::NotPermitted)));
        let ops = [Op::write(33, word(1)), Op::Forget { key_nh: 8 }];
        assert!(card.apply(&ops).is_err());
        assert_eq!(left(&fake.tables()), [24, 32]);
    }
}
