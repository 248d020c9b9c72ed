//! What travels between the daemon and those who ask it: HTTP/1.1 over the daemon's Unix socket, bodies in JSON.
//!
//! ```text
//! $ curl --unix-socket /run/penstock/penstockd.sock http://penstock/v1/next-hops/87
//! {"next_hops":[{"id":87,"type":"Composite",...}]}
//! $ curl --unix-socket /run/penstock/penstockd.sock http://penstock/v1/next-hops/88
//! {"error":"next hop 88 is not in use"}
//! ```
//!
//! Each resource ([`paths`]) answers with one value: a view of `penstock-views`, or a type of [`types`]; with another status
//! than 200, with [`types::Refused`]. The names of their fields are the interface: within `/v1` there come new ones, and none
//! goes. The [`server`] is transport alone, and knows neither card nor daemon; the [`client`] blocks.

pub mod attachments;
mod audit_text;
pub mod paths;
mod status_text;
pub mod types;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
