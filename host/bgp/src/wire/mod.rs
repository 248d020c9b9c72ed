//! Messages: the boundary between bytes and values.
//!
//! The crate netgauze-bgp-pkt writes all that is sent, and reads the attributes whose insides matter. Where one message,
//! capability, attribute or prefix ends and the next begins is read here: RFC 7606 wants to know which attribute of an UPDATE is
//! wrong and to go on behind it, and a peer may have capabilities and distinguishers that no list knows.

mod decode;
mod encode;
mod frame;
mod notification;
mod open;

pub use decode::{Fault, Membership, Scope, Update, decode_update};
pub use encode::{
    MAX_MESSAGE, end_of_rib, keepalive, memberships, notification, open, route_refresh, updates,
};
pub(crate) use encode::{Towards, some_memberships, some_updates};
pub use frame::{Framer, Kind};
pub use notification::{Notification, code};
pub use open::{Family, GracefulRestart, Open, decode_open, decode_refresh};
