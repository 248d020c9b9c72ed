//! Reading tables in pieces, so that whatever else the card is asked for comes in between.

use std::net::IpAddr;

use penstock_abi::table::{Flow, NextHop, NextHopKind, TableEntry as _, TableId, Words};
use penstock_model::{MacAddr, Neighbours};
use penstock_tables::{CONFIG_TABLES, Shape, Tables};
use tracing::warn;

use crate::beat::Beat;
use crate::device::{Device, JOB_COMMANDS};
use crate::error::LinkError;

/// Valid entries of a table; of one without valid bits, all. Besides, and not among them, where there are entries with the wrong
/// parity.
pub(crate) async fn dump(
    device: &Device,
    table: TableId,
    beat: &Beat,
) -> Result<(Vec<(u32, Words)>, Vec<u32>), LinkError> {
    let mut dump = device.run(move |card| Ok(card.dump_from_start(table))).await?;
    loop {
        let (now, done) = device
            .run(move |card| {
                let done = card.dump_on(&mut dump)?;
                Ok((dump, done))
            })
            .await?;
        beat.beat();
        if done {
            let odd = now.odd().collect();
            return Ok((now.finish(), odd));
        }
        dump = now;
    }
}

/// Adds the entries at `indices`, whether valid or not. One with the wrong parity is added as not valid, and said.
pub(crate) async fn load(
    device: &Device,
    tables: &mut Tables,
    table: TableId,
    indices: &[u32],
    beat: &Beat,
) -> Result<Vec<u32>, LinkError> {
    let mut odd = Vec::new();
    for indices in indices.chunks(JOB_COMMANDS) {
        let some = indices.to_vec();
        let words = device.run(move |card| card.read_sound(table, &some)).await?;
        beat.beat();
        for (&index, words) in indices.iter().zip(&words) {
            tables.load(table, index, &words.unwrap_or_default());
            odd.extend(words.is_none().then_some(index));
        }
    }
    Ok(odd)
}

/// How large the card's tables are.
async fn shape(device: &Device) -> Result<Shape, LinkError> {
    device.run(|card| Ok(card.ident().shape)).await
}

/// Reads the configuration back. An entry with the wrong parity is as one that is not valid: what is to stand there is planned, and
/// written, anew. It is not cleared before, as packets that need it would go by what is behind it then, and not be dropped.
pub(crate) async fn configuration(device: &Device, beat: &Beat) -> Result<Tables, LinkError> {
    let mut tables = Tables::new(shape(device).await?);
    let tell = |table: TableId, odd: &[u32]| {
        if let Some(first) = odd.first() {
            warn!(?table, entries = odd.len(), first, "entries of the card have the wrong parity");
        }
    };
    for &table in CONFIG_TABLES {
        let (dumped, odd) = dump(device, table, beat).await?;
        tables.load_all(table, &dumped);
        tell(table, &odd);
    }
    let holes = tables.holes();
    tell(TableId::Ecmp, &load(device, &mut tables, TableId::Ecmp, &holes, beat).await?);
    Ok(tables)
}

/// All flows with their statistics. They change meanwhile: each is seen as it was at some moment.
pub(crate) async fn flows(device: &Device) -> Result<Tables, LinkError> {
    // The reader's own: that somebody looks at flows is no sign that the loop lives.
    let beat = Beat::new();
    let mut tables = Tables::new(shape(device).await?);
    tables.load_all(TableId::Flow, &dump(device, TableId::Flow, &beat).await?.0);
    let indices: Vec<u32> = tables.of::<Flow>().indices().collect();
    load(device, &mut tables, TableId::FlowStats, &indices, &beat).await?;
    Ok(tables)
}

/// One flow, if it is there, with its partner and the statistics of both.
///
/// The card says which pair an entry is of, not where its partner stands: all flows are looked through.
pub(crate) async fn flow(device: &Device, index: u32) -> Result<Tables, LinkError> {
    let beat = Beat::new();
    let mut tables = Tables::new(shape(device).await?);
    load(device, &mut tables, TableId::Flow, &[index], &beat).await?;
    let Some(own) = tables.get::<Flow>(index).copied().filter(|flow| flow.valid) else {
        return Ok(tables);
    };
    let (all, _) = dump(device, TableId::Flow, &beat).await?;
    let partner = all.iter().map(|(at, words)| (*at, Flow::unpack(words)));
    let mut partner = partner.filter(|(_, f)| f.pair == own.pair && f.reverse != own.reverse);
    let mut indices = vec![index];
    if let Some((at, flow)) = partner.next_back() {
        tables.put(at, flow);
        indices.push(at);
    }
    load(device, &mut tables, TableId::FlowStats, &indices, &beat).await?;
    Ok(tables)
}

/// The neighbours that tunnels of these tables name.
pub(crate) fn neighbours(tables: &Tables) -> Neighbours {
    let tunnel = |nh: &NextHop| {
        let mac = MacAddr::from_bits(nh.dmac);
        let named = nh.valid && nh.kind == NextHopKind::Tunnel && mac.is_unicast();
        named.then(|| (IpAddr::V4(nh.dip.into()), mac))
    };
    tables.of::<NextHop>().values().filter_map(tunnel).collect()
}

/// The card's digest of a table; none if it makes none.
pub(crate) async fn digest(device: &Device, table: TableId) -> Result<Option<u64>, LinkError> {
    device.run(move |card| card.digest(table)).await
}
