//! From intent to tables.

use penstock_model::Snapshot;

use crate::{CompileError, Desired};

pub(crate) fn lower(_snapshot: &Snapshot) -> Result<Desired, CompileError> {
    Ok(Desired::default())
}
