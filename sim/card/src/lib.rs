//! The simulated card: the Verilated RTL with host memory, ports and time around it.
//!
//! [`CardSim`] is the card as a value: frames are injected and taken, registers read and written, cycles counted. Three ways
//! lead to it: [`InProcess`], a PCI transport for tests, replay and measurements without any socket; [`Server`], the vfio-user
//! endpoint that a daemon or a virtual machine connects to; and [`service::run`], the loop of the program `penstock-card`, which
//! serves sockets and ports from one thread and sleeps while the card is idle.
//!
//! Nothing is lost silently here: frames that a port does not take are counted ([`port::PortStats`]).

mod axi;
mod card;
mod config;
mod dma;
mod frame;
mod inprocess;
pub mod pcap;
pub mod port;
mod server;
pub mod service;

pub use card::{BackPressure, BusLatency, CardError, CardOptions, CardSim, Clock, Egress};
pub use config::Identity;
pub use dma::{DmaFault, DmaMap, DmaMapError};
pub use inprocess::{FLOW_SECRET, InProcess};
pub use penstock_rtl::{AFFINITY_ROWS_LOG2, FLOW_ROWS_LOG2};
pub use server::{Removal, Server};
