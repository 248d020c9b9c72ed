//! Why there is no plan.

use thiserror::Error;

/// Why there is no plan. The card keeps what it has.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// The desired state does not fit a table; the operator has to take something away.
    #[error("table {table} holds {capacity} entries, {needed} are needed")]
    TableFull {
        /// Table, by its name in the reference.
        table: &'static str,
        /// Entries needed.
        needed: usize,
        /// Entries there are.
        capacity: usize,
    },
    /// A hash table has room, but none that this key can be moved to.
    #[error(
        "table {table} has no place for {key}: {used} of {capacity} entries are used, and moving others makes none"
    )]
    NoPlace {
        /// Table, by its name in the reference.
        table: &'static str,
        /// The key.
        key: String,
        /// Entries used.
        used: usize,
        /// Entries there are.
        capacity: usize,
    },
    /// A value does not fit its field; the compiler let it pass.
    #[error("a compiled value does not fit the card")]
    Field(#[from] penstock_abi::table::FieldOverflow),
    /// A route, label or vif names a next hop that the compiled state does not have; a defect of the compiler.
    #[error("{0} refers to a next hop that was not compiled")]
    Dangling(String),
}
