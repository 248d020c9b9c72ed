//! How long flows may rest, and which give way in a table that fills, as the card's registers say it.

use penstock_abi::age::{self, Ages, STATES, State};
use penstock_abi::evict::{Evictions, Keep};
use penstock_abi::layout::Capability;
use penstock_abi::table::TableId;
use penstock_device::{Card, DeviceError};
use penstock_model::FlowAging;

/// Of 32 parts of the table, those in use from which there is pressure 1, 2 and 3.
const PRESSURE_OF_32: [u32; 3] = [24, 26, 28];
/// What nobody has answered yet may rest so long before it gives way to others.
const UNANSWERED_SECONDS: u32 = 1;

/// Tells a card that can do it what it was told otherwise, or not at all.
pub(crate) fn tell(card: &mut Card, aging: &FlowAging) -> Result<(), DeviceError> {
    let clock = card.ident().clock_khz;
    if card.ident().has(Capability::Ageing) {
        let ages = ages(aging, clock);
        if card.flow_ages()? != ages {
            card.set_flow_ages(&ages)?;
        }
    }
    if card.ident().has(Capability::Eviction) {
        let evictions = evictions(aging, clock, card.ident().shape.capacity(TableId::Flow));
        if card.flow_evictions()? != evictions {
            card.set_flow_evictions(&evictions)?;
        }
    }
    Ok(())
}

fn ages(aging: &FlowAging, clock_khz: u32) -> Ages {
    let units = |seconds| age::units(seconds, clock_khz);
    let mut ages = Ages { states: aging.states.map(units), ..Ages::default() };
    for (n, port) in aging.ports.iter().take(age::PORTS).enumerate() {
        ages.ports[n] = Some(age::Port { proto: port.protocol.number(), port: port.port });
        ages.by_port[n] = units(port.seconds);
    }
    ages
}

fn evictions(aging: &FlowAging, clock_khz: u32, flows: u32) -> Evictions {
    let keep =
        |level, yields, seconds| Keep { level, yields, time: age::units(seconds, clock_khz) };
    let mut states = [Keep::default(); STATES];
    for state in State::ALL {
        states[state as usize] = match state {
            State::Closed => keep(1, true, 0),
            State::Opening | State::UdpOneWay | State::Icmp => keep(2, true, UNANSWERED_SECONDS),
            State::HalfClosed => keep(2, false, aging.guaranteed),
            State::Established | State::UdpBothWays | State::Other => {
                keep(3, false, aging.guaranteed)
            }
        };
    }
    let above = PRESSURE_OF_32.map(|parts| flows / 32 * parts);
    Evictions { above, states, plain: keep(1, true, UNANSWERED_SECONDS) }
}
