//! Pods that a CNI plugin has attached to a card: the source of fragments "CNI registrations", beside manifests and node file.
//!
//! In: what a plugin asks for (through the daemon's socket). Out: a [`Fragment`](penstock_model::Fragment) with the vif of every
//! pod that is [placed](Attachments::place), and the numbers that the plugin is given. An attachment is made in two steps, since
//! the number of its vif decides which interface the pod gets, and only then is there an address:
//!
//! ```text
//! reserve   a free vif number and a free label, on disk       the plugin: IPAM, interface, addresses in the pod's namespace
//! place     address and MAC address, on disk, in the fragment the card forwards
//! remove    all of it is gone; both numbers rest
//! ```
//!
//! What was answered is on disk (redb) before it is answered, so that neither the daemon's end nor the machine's loses or gives away twice
//! anything. **Numbers**: a vif number or label that somebody had on the card rests for [`REST`] after that, for others may still
//! send to it; of those that are free, the longest free is taken first. One that was only reserved was never on the card, and
//! does not rest. Numbers of vifs that other sources give (a node file) are avoided, and rest when the daemon sees them go.
//!
//! Everything here blocks, for as long as a disk takes; the time is the caller's to tell.

mod attachments;
mod numbers;
mod store;

pub use attachments::{
    Attachment, Attachments, Key, NotPlaced, NotReserved, Others, Place, SOURCE, Wish,
};
pub use numbers::{REST, Shortage};
pub use store::{Store, StoreError};
