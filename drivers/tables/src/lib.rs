//! What the tables of a card hold: one typed store, one kind of step that changes it, and what they are compared by.
//!
//! [`Tables`] keeps the entries of every table by index, unpacked. The planner keeps in it what the card has confirmed, views what
//! they were read, the reference model what its packets meet, the fake card what was written. An [`Entry`] is a value of any table,
//! an [`Op`] a step that a card is asked for; it is packed once, where it becomes a command. A [`Shape`] says how large the tables
//! are and where in them a key may stand ([`Keyed`]), so that [`Tables::find`] finds an entry where the card does, and nowhere else.
//!
//! The tables are listed once, in [`entry`]; all code that treats them one by one is generated from that list. Copies share what
//! is the same in them: a copy costs nothing, and [`Tables::difference`] looks only at what changed between two of them.
//!
//! Pure: no card, no I/O. What the fields of an entry mean is said in `penstock-abi` and `docs/datapath.md`.
//!
//! ```
//! use penstock_abi::table::{HostRoute, Ilm};
//! use penstock_tables::{Keyed, Op, Tables};
//!
//! let mut tables = Tables::default();
//! tables.apply(&Op::write(25, Ilm { valid: true, nh: 7, ..Ilm::default() }));
//! assert_eq!(tables.get::<Ilm>(25).map(|label| label.nh), Some(7));
//!
//! // A route where no look-up looks is not found.
//! let route = HostRoute { valid: true, vrf: 2, ip: 0x0a69_8b99, nh: 87, ..HostRoute::default() };
//! let home = HostRoute::places(route.key(), tables.shape()).next().expect("every key has places");
//! tables.apply(&Op::write(home ^ 4, route));
//! assert_eq!(tables.find::<HostRoute>(route.key()), None);
//! tables.apply(&Op::write(home, route));
//! assert_eq!(tables.find::<HostRoute>(route.key()), Some((home, &route)));
//! ```

mod difference;
pub mod entry;
mod key;
mod op;
pub mod prefix;
mod read;
mod shape;
mod table;
mod tables;

pub use difference::Difference;
pub use entry::{Entry, Stored, Tables};
pub use key::{Keyed, bucket_slots};
pub use op::Op;
pub use prefix::PrefixPart;
pub use read::CONFIG_TABLES;
pub use shape::{Allowed, Implausible, Shape, Usage};
pub use table::Table;
