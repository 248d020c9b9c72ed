//! PCI functions as the kernel shows them in sysfs: which there are, whether VFIO may open one, and handing one to VFIO.
//!
//! In: the kernel's files below a [`Sysfs`] root, so that a test can point at a made-up machine. Out: [`Function`]s, and
//! reasons ([`NotReady`], [`PciError`]) that each say what to type. Nothing here opens a function, knows a card or needs
//! more than sysfs; only [`Sysfs::bind`] and [`Sysfs::unbind`] write, and they need root.
//!
//! ```no_run
//! let sysfs = penstock_pci::Sysfs::default();
//! let function = sysfs.function("3b:00.0")?;
//! if let Err(why) = sysfs.ready(&function) {
//!     eprintln!("{why}");
//! }
//! # Ok::<(), penstock_pci::PciError>(())
//! ```

mod bind;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod ready;
mod sysfs;

pub use error::{NotReady, PciError};
pub use sysfs::{Function, Sysfs, normal};
