//! The doing of what a pass says, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use penstock_abi::regs;
use penstock_abi::table::TableId;
use penstock_device::DeviceError;
use penstock_tables::Op;
use tracing::info;

use super::{Failure, Held, Reconciler};
use crate::device::JOB_COMMANDS;
use crate::engine::{Inputs, Pass};
use crate::error::{LinkError, chain};
use crate::read;

impl Reconciler {
    /// Does what `pass` says, which was made of `inputs`. Whatever comes of it, the last reading may not show the card as it is now.
    pub(super) async fn execute(
        &self,
        pass: &Pass,
        inputs: &Inputs,
        held: &mut Held,
    ) -> Result<(), Failure> {
        let before = held.left;
        let result = self.step_by_step(pass, inputs, held).await;
        if held.left != before || pass.phases.iter().any(|phase| !phase.is_empty()) {
            self.status.send_modify(|status| status.changed = Some(Instant::now()));
        }
        result
    }

    async fn step_by_step(
        &self,
        pass: &Pass,
        inputs: &Inputs,
        held: &mut Held,
    ) -> Result<(), Failure> {
        // The card stops by itself at what it refuses, so that phases need not be waited for one by one.
        let ops = pass.phases.concat();
        for batch in ops.chunks(JOB_COMMANDS) {
            let ops = batch.to_vec();
            match self.device.run(move |card| card.apply(&ops)).await {
                Ok(()) => batch.iter().for_each(|op| held.tables.apply(op)),
                Err(LinkError::Device(error @ DeviceError::BadStatus { .. })) => {
                    let text = self.refusal(&error, batch, pass, inputs, held);
                    self.read_again(batch, held).await?;
                    return Err(Failure::Refused(text));
                }
                Err(error) => return Err(error.into()),
            }
            self.publish(held);
            self.beat.beat();
        }
        if pass.phases.iter().any(|phase| !phase.is_empty()) || held.left.epoch == 0 {
            let epoch = held.left.epoch.checked_add(1).unwrap_or(1);
            self.device.run(move |card| card.write_reg(regs::EPOCH, epoch)).await?;
            held.left.epoch = epoch;
        }
        if !held.left.forwarding {
            self.device.run(|card| card.set_enabled(true)).await?;
            held.left.forwarding = true;
            info!("data path enabled");
        }
        Ok(())
    }

    /// What was refused, and whose it is.
    fn refusal(
        &self,
        error: &DeviceError,
        batch: &[Op],
        pass: &Pass,
        inputs: &Inputs,
        held: &Held,
    ) -> String {
        let text = chain(error);
        let DeviceError::BadStatus { table, index, .. } = *error else { return text };
        let wanted = batch.iter().find_map(|op| match op {
            Op::Write { index: at, entry } if (entry.table(), *at) == (table, index) => {
                Some(*entry)
            }
            Op::Write { .. } | Op::Fence | Op::Forget { .. } => None,
        });
        // An entry that is cleared says nothing of its owner, the one that is there does.
        let entry = wanted
            .filter(|entry| !entry.is_clear())
            .or_else(|| held.tables.entry(table, index))
            .or(wanted);
        let engine = self.engine.as_ref();
        let owner = entry
            .zip(engine)
            .and_then(|(entry, engine)| engine.owner(inputs, &pass.compiled, index, &entry));
        match owner {
            Some(owner) => format!("{text}, which is of {owner}"),
            None => text,
        }
    }

    /// Reads back what a batch writes of which something was refused: what stands before that was done. The rest of the card is as
    /// it was, so that a card that refuses the same thing each time is not read whole each time.
    async fn read_again(&self, batch: &[Op], held: &mut Held) -> Result<(), LinkError> {
        let mut entries: BTreeMap<TableId, BTreeSet<u32>> = BTreeMap::new();
        for op in batch {
            if let Op::Write { index, entry } = op {
                entries.entry(entry.table()).or_default().insert(*index);
            }
        }
        for (table, indices) in entries {
            let indices: Vec<u32> = indices.into_iter().collect();
            read::load(&self.device, &mut held.tables, table, &indices, &self.beat).await?;
        }
        held.adopt = true;
        self.publish(held);
        Ok(())
    }
}
