//! Setting up and taking back, step by step.

use std::fs;
use std::path::Path;

use crate::kernel::{self, Kernel};
use crate::state::{Keeper, Setting, State};
use crate::{NodeError, Wanted, nft, sysctl};

/// What a run has to say beside that it worked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Nothing was set up, so nothing was to be taken back.
    pub nothing: bool,
    /// What should be known.
    pub notes: Vec<String>,
}

/// Sets the node up, or completes what is not there. One that fails, and was the first, takes back what it has changed.
///
/// # Errors
/// [`NodeError`]: before anything is changed if the node is not as it must be, else by what the kernel refuses.
pub fn setup(wanted: &Wanted, state: &Path) -> Result<Report, NodeError> {
    if wanted.routes().is_empty() {
        return Err(NodeError::NoRanges);
    }
    if wanted.mark == 0 {
        return Err(NodeError::NoMark);
    }
    let keeper = Keeper::open(state)?;
    let before = keeper.read()?;
    let is_first = before.is_none();
    let planned = kernel::with(async |kernel| plan(&kernel, wanted, before).await)?;
    keeper.write(&planned)?;
    let applied = kernel::with(async |kernel| apply(&kernel, wanted, &planned).await);
    match applied {
        Ok(notes) => {
            keeper.write(&State { routes: wanted.routes(), ..planned })?;
            Ok(Report { nothing: false, notes })
        }
        Err(error) if is_first => {
            // The first error says why; what cannot be taken back is in the state for another try.
            if kernel::with(async |kernel| undo(&kernel, &planned).await).is_ok() {
                keeper.forget()?;
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Takes back what was set up.
///
/// # Errors
/// [`NodeError`]; what is left is in the state for another try.
pub fn teardown(state: &Path) -> Result<Report, NodeError> {
    let keeper = Keeper::open(state)?;
    let Some(before) = keeper.read()? else {
        return Ok(Report { nothing: true, notes: Vec::new() });
    };
    kernel::with(async |kernel| undo(&kernel, &before).await)?;
    keeper.forget()?;
    Ok(Report::default())
}

/// All that will be changed, with what it is now, but for what an earlier run has changed and kept. Nothing is changed here.
async fn plan(kernel: &Kernel, wanted: &Wanted, before: Option<State>) -> Result<State, NodeError> {
    let Wanted { interface, gateway, .. } = wanted;
    if let Some(State { interface, gateway, .. }) =
        before.as_ref().filter(|state| (&state.interface, state.gateway) != (interface, *gateway))
    {
        let (interface, gateway) = (interface.clone(), *gateway);
        return Err(NodeError::Otherwise { interface, gateway });
    }
    let link = kernel.find(interface).await?;
    let link = link.ok_or_else(|| NodeError::NoInterface(interface.clone()))?;
    if wanted.address.is_none() && kernel.address(&link).await?.is_none() {
        return Err(NodeError::NoAddress(interface.clone()));
    }
    let routes = wanted.routes();
    if let Some(taken) = kernel.taken(&routes).await?.first() {
        return Err(NodeError::Taken(*taken));
    }
    if kernel.is_others(&link, *gateway).await? {
        return Err(NodeError::GatewayTaken { gateway: *gateway, interface: interface.clone() });
    }
    let mut state = before.unwrap_or_else(|| State {
        interface: interface.clone(),
        gateway: *gateway,
        settings: Vec::new(),
        routes: Vec::new(),
        chains: Vec::new(),
    });
    for setting in sysctl::snapshot(interface)? {
        if state.settings.iter().all(|known| known.name != setting.name) {
            state.settings.push(setting);
        }
    }
    for chain in nft::dropping()? {
        if !state.chains.contains(&chain) && !nft::lets_pass(&chain, interface)? {
            state.chains.push(chain);
        }
    }
    state.routes.extend(routes);
    state.routes.sort_unstable();
    state.routes.dedup();
    Ok(state)
}

/// Makes all of it so; what is so already is left. The routes come last but for the rules of others: they begin the traffic.
async fn apply(kernel: &Kernel, wanted: &Wanted, state: &State) -> Result<Vec<String>, NodeError> {
    let Wanted { interface, gateway, .. } = wanted;
    for (name, value) in sysctl::wanted(interface) {
        sysctl::write(&name, value)?;
    }
    nft::make(wanted)?;
    let link = kernel.find(interface).await?;
    let link = link.ok_or_else(|| NodeError::NoInterface(interface.clone()))?;
    let address = match wanted.address {
        Some(address) => address,
        None => {
            kernel.address(&link).await?.ok_or_else(|| NodeError::NoAddress(link.name.clone()))?
        }
    };
    kernel.add_neighbour(&link, *gateway).await?;
    let routes = wanted.routes();
    for range in &routes {
        kernel.add_route(&link, *gateway, address, *range).await?;
    }
    kernel.remove_routes(&routes).await?;
    kernel.add_way_back(&link, *gateway, wanted.mark).await?;
    let mut notes = Vec::new();
    for chain in &state.chains {
        nft::open(chain, interface)?;
        let name = format!("{} {} {}", chain.family, chain.table, chain.name);
        notes.push(format!(
            "the chain {name} drops what is forwarded: it has a rule for {interface} now, in front; after it was loaded anew, run this again"
        ));
    }
    notes.extend(legacy_note(interface));
    Ok(notes)
}

/// The older sort of iptables has chains that nftables does not see.
fn legacy_note(interface: &str) -> Option<String> {
    let tables = fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    tables.lines().any(|table| table == "filter").then(|| {
        format!(
            "iptables-legacy is in use here, which is not looked at: if its FORWARD drops, \
             iptables-legacy -I FORWARD -i {interface} -j ACCEPT and -o {interface}"
        )
    })
}

/// Takes all of it back, in the other order. What is gone is passed over.
async fn undo(kernel: &Kernel, state: &State) -> Result<(), NodeError> {
    for chain in &state.chains {
        nft::close(chain, &state.interface)?;
    }
    kernel.remove_way_back().await?;
    kernel.remove_routes(&[]).await?;
    if let Some(link) = kernel.find(&state.interface).await? {
        kernel.remove_neighbour(&link, state.gateway).await?;
    }
    nft::remove()?;
    for Setting { name, value } in &state.settings {
        sysctl::write(name, value)?;
    }
    Ok(())
}
