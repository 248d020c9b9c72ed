//! The event ring of a card in memory: a test says what the card tells.

use penstock_abi::regs;
use penstock_abi::ring::{EventKind, RECORD_BYTES};
use zerocopy::IntoBytes;

use super::{FakeCard, State};
use crate::event::{CardEvent, Kinds, is_sampled};

impl FakeCard {
    /// The card tells this, if it was asked for it: `sequence` and `phase` are the card's own. Without room in the ring it is lost,
    /// and counted. Of refused packets none is left out.
    pub fn tell(&self, event: CardEvent) {
        self.lock().tell(event);
    }

    /// Whether events of this kind are asked for at the moment.
    #[must_use]
    pub fn is_asked_for(&self, kind: EventKind) -> bool {
        let state = self.lock();
        state.read(regs::EVT_ENABLE) & 1 == 1 && state.asked_for().has(kind as u8)
    }
}

impl State {
    fn asked_for(&self) -> Kinds {
        Kinds::from_bits(self.read(regs::EVT_KINDS))
    }

    fn tell(&mut self, event: CardEvent) {
        let sample_log2 = (self.read(regs::EVT_SAMPLE) & 0xf) as u8;
        let sampled = match &event {
            CardEvent::Flow(event) => is_sampled(event.pair, sample_log2),
            CardEvent::Other(_) => true,
        };
        let runs = !self.dead && self.read(regs::EVT_ENABLE) & 1 == 1;
        if !runs || !self.asked_for().has(event.code()) || !sampled {
            return;
        }
        let (count, log2) = (self.read(regs::EVT_PRODUCER), self.read(regs::EVT_LOG2));
        if count.wrapping_sub(self.read(regs::EVT_CONSUMER)) >= 1 << log2 {
            let dropped = self.read(regs::EVT_DROPPED);
            self.regs.insert(regs::EVT_DROPPED, dropped.saturating_add(1));
            return;
        }
        let base =
            u64::from(self.read(regs::EVT_BASE_LO)) | u64::from(self.read(regs::EVT_BASE_HI)) << 32;
        let at = base + u64::from(count & ((1 << log2) - 1)) * RECORD_BYTES as u64;
        let (sequence, phase) = (count.wrapping_add(1), u8::from((count >> log2) & 1 == 0));
        let mut record = [0; RECORD_BYTES];
        match event {
            CardEvent::Flow(mut event) => {
                (event.sequence, event.phase) = (sequence, phase);
                record.copy_from_slice(event.as_bytes());
            }
            CardEvent::Other(mut event) => {
                (event.sequence, event.phase) = (sequence, phase);
                record.copy_from_slice(event.as_bytes());
            }
        }
        if self.dma(at, |memory, offset| memory.write(offset, &record)).is_ok() {
            self.regs.insert(regs::EVT_PRODUCER, sequence);
            self.raise(regs::IRQ_EVENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::layout::{self, Capability};
    use penstock_abi::ring::{Event, FlowEnd, FlowEvent};

    use super::*;
    use crate::card::Card;
    use crate::event::{Taken, Wanted};

    fn ended(pair: u32) -> CardEvent {
        let kind = EventKind::FlowEnded as u8;
        CardEvent::Flow(FlowEvent { pair, kind, reason: FlowEnd::Aged as u8, ..Default::default() })
    }

    fn wanted(kinds: &[EventKind]) -> Wanted {
        Wanted { kinds: Kinds::of(kinds), sample_log2: 0 }
    }

    fn pairs(taken: &Taken) -> Vec<u32> {
        let pair = |event: &CardEvent| match event {
            CardEvent::Flow(event) => Some(event.pair),
            CardEvent::Other(_) => None,
        };
        taken.events.iter().filter_map(pair).collect()
    }

    fn take_all(card: &mut Card) -> Taken {
        let mut all = Taken::default();
        loop {
            let taken = card.take_events().unwrap();
            all.events.extend(taken.events);
            all.lost += taken.lost;
            if !taken.more {
                return all;
            }
        }
    }

    #[test]
    fn what_is_asked_for_is_told_and_may_change() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        fake.tell(ended(1));
        assert_eq!(card.take_events().unwrap(), Taken::default());
        card.enable_events(Wanted::default()).unwrap();
        fake.tell(ended(2));
        card.enable_events(wanted(&[EventKind::FlowEnded])).unwrap();
        fake.tell(ended(3));
        let pressure = Event { kind: EventKind::FlowPressure as u8, arg0: 2, ..Event::default() };
        fake.tell(CardEvent::Other(pressure));
        assert_eq!(pairs(&take_all(&mut card)), [3]);
        card.enable_events(wanted(&[EventKind::FlowPressure])).unwrap();
        fake.tell(CardEvent::Other(pressure));
        let taken = take_all(&mut card).events;
        assert!(matches!(taken[..], [CardEvent::Other(Event { arg0: 2, sequence: 2, .. })]));
        card.enable_events(Wanted { sample_log2: 2, ..wanted(&[EventKind::FlowEnded]) }).unwrap();
        (0..10).for_each(|pair| fake.tell(ended(pair)));
        assert_eq!(pairs(&take_all(&mut card)), [0, 4, 8]);
    }

    /// Over many laps of the ring, with more than a lap at once.
    #[test]
    fn what_finds_no_room_is_counted_and_nothing_else_is_lost() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        card.enable_events(wanted(&[EventKind::FlowEnded])).unwrap();
        let room = 1 << fake.register(regs::EVT_LOG2);
        for round in 0..3 {
            let told = room + 5 + round;
            (0..told).for_each(|pair| fake.tell(ended(pair)));
            let taken = take_all(&mut card);
            assert_eq!(pairs(&taken), (0..room).collect::<Vec<_>>());
            assert_eq!(taken.lost, told - room);
            // One after another.
            (0..room + 7).for_each(|pair| {
                fake.tell(ended(pair));
                assert_eq!(pairs(&card.take_events().unwrap()), [pair]);
            });
        }
        assert_eq!(card.take_events().unwrap(), Taken::default());
    }

    #[test]
    fn after_a_reset_there_are_new_events_only() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        card.enable_events(wanted(&[EventKind::FlowEnded])).unwrap();
        let room = 1 << fake.register(regs::EVT_LOG2);
        // The ring is full of records of the phase with which it begins anew.
        (0..room + 3).for_each(|pair| fake.tell(ended(pair)));
        card.reset().unwrap();
        assert_eq!(card.take_events().unwrap(), Taken::default());
        fake.tell(ended(77));
        let taken = card.take_events().unwrap();
        assert_eq!((pairs(&taken), taken.lost), (vec![77], 0), "it still asks for the same");
        // Nor does another owner get what this one left.
        drop(card);
        let mut card = Card::attach(fake.transport()).unwrap();
        fake.tell(ended(78));
        card.enable_events(wanted(&[EventKind::FlowEnded])).unwrap();
        assert_eq!(card.take_events().unwrap(), Taken::default());
    }

    #[test]
    fn a_kind_that_is_not_known_is_kept() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        card.enable_events(Wanted { kinds: Kinds::from_bits(1 << 19), sample_log2: 0 }).unwrap();
        let strange = Event { kind: 19, arg1: 7, ..Event::default() };
        fake.tell(CardEvent::Other(strange));
        let taken = card.take_events().unwrap().events;
        let told = CardEvent::Other(Event { sequence: 1, phase: 1, ..strange });
        assert_eq!((taken[0], taken[0].kind()), (told, None));
    }

    #[test]
    fn a_card_that_cannot_choose_is_not_asked_to() {
        let fake = FakeCard::new();
        let without = layout::CAPABILITIES & !Capability::FlowEvents.mask();
        fake.set_register(regs::CAPABILITIES, without);
        let mut card = Card::attach(fake.transport()).unwrap();
        let before = fake.register(regs::EVT_KINDS);
        card.enable_events(wanted(&[EventKind::FlowEnded])).unwrap();
        assert_eq!(fake.register(regs::EVT_KINDS), before);
        fake.tell(CardEvent::Other(Event { kind: EventKind::Firmware as u8, ..Event::default() }));
        assert_eq!(card.take_events().unwrap().events.len(), 1);
    }
}
