//! How a host talks to a card.
//!
//! A [`PciTransport`] reaches one PCI function: [`VfioUser`] over a socket (the simulated card), [`KernelVfio`] through
//! `/dev/vfio` (a guest's or a real card). [`Card`] identifies the function, runs its command ring and reads and writes
//! tables; it knows entries and indices, never what they mean to a packet. Registers are used for set-up, status and the
//! doorbell only; table access goes through the ring in batches.
//!
//! `conformance` (a feature) is the suite of checks that every transport must pass.
//!
//! Every operation ends: with a result, or with a [`DeviceError`] that says what happened, at the latest after a time-out.
//! One owner a card; nothing here is async, callers put a [`Card`] on a thread of their own.
//!
//! ```no_run
//! use penstock_abi::table::{HostRoute, TableId};
//! let mut card = penstock_device::Card::attach(penstock_device::open("vfio-user:/run/penstock/card.sock")?)?;
//! let route: HostRoute = card.read(TableId::HostRoute, 12)?;
//! println!("{:?} {route:?}", card.ident());
//! # Ok::<(), penstock_device::DeviceError>(())
//! ```

mod card;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod digest;
mod dma;
mod dump;
mod error;
mod event;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod firmware;
mod held;
mod ident;
mod kernel;
mod open;
mod ring;
mod tables;
mod transport;
pub mod vfio_user;

pub use card::Card;
pub use dma::{DmaBuffer, IOVA_BASE, IovaAllocator, SharedMemory};
pub use dump::TableDump;
pub use error::DeviceError;
pub use event::{CardEvent, Kinds, Taken, Wanted, is_sampled};
pub use firmware::{BadImage, FirmwareImage};
pub use held::{HeldFds, inherited_fds};
pub use ident::Ident;
pub use kernel::KernelVfio;
pub use open::open;
pub use tables::ParityErrors;
pub use transport::{FunctionInfo, PciTransport, Region};
pub use vfio_user::client::VfioUser;
pub use vmm_sys_util::eventfd::EventFd;
