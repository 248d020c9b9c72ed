//! Where card and model part.

use std::collections::HashMap;

use penstock_abi::table::FlowKey;
use penstock_refmodel::FlowAttributes;
use penstock_refmodel::r#gen::Write;

use crate::script::entry;

/// The first difference between the tables that the card reads back and those that were written.
pub(super) fn table_difference(card: &[Write], model: &[Write]) -> Option<String> {
    let at = (0..card.len().max(model.len())).find(|&i| card.get(i) != model.get(i))?;
    let text = |w: Option<&Write>| {
        w.map_or_else(|| "nothing more".to_owned(), |w| format!("{:?}{}", w.0, entry(w)))
    };
    Some(format!(
        "tables read back differ\n  card  {}\n  model {}",
        text(card.get(at)),
        text(model.get(at))
    ))
}

/// The first difference between two flow tables.
pub(super) fn flow_difference(
    card: &HashMap<FlowKey, FlowAttributes>,
    model: &HashMap<FlowKey, FlowAttributes>,
) -> Option<String> {
    for (key, m) in model {
        match card.get(key) {
            None => return Some(format!("flow missing on the card: {m:?}")),
            Some(c) if c != m => {
                return Some(format!("flow differs\n  card  {c:?}\n  model {m:?}"));
            }
            Some(_) => {}
        }
    }
    card.iter()
        .find(|(k, _)| !model.contains_key(k))
        .map(|(_, c)| format!("flow only on the card: {c:?}"))
}
