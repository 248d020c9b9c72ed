//! What is known of a service before the card is looked at: what is asked for, and what was found about it.

use std::collections::BTreeSet;

use penstock_model::{Finding, Findings, Intent, LoadBalancer, ObjectId, ObjectName, Reason};
use penstock_views::service;

/// What is asked for, and what of it is not served, and why.
pub(crate) fn intent(lb: &LoadBalancer, findings: &Findings) -> service::Intent {
    let ports = lb.listeners.iter().map(|listener| {
        let members: Vec<String> =
            listener.pool.members.iter().map(|m| format!("{}:{}", m.address, m.port)).collect();
        let members = if members.is_empty() { "nobody".to_owned() } else { members.join(", ") };
        format!("{}/{} -> {members}", listener.port, listener.protocol)
    });
    let members = lb.listeners.iter().flat_map(|listener| &listener.pool.members);
    let endpoints: BTreeSet<_> = members.map(|member| member.address).collect();
    let found = about(&lb.name, findings);
    let denied = found.iter().filter_map(|finding| match &finding.reason {
        Reason::Denied { address, .. } => Some((*address, finding.to_string())),
        _ => None,
    });
    service::Intent {
        name: lb.name.to_string(),
        denied: denied.collect(),
        floating_ips: lb.floating_ips.iter().map(|fip| fip.address).collect(),
        ports: ports.collect(),
        endpoints: endpoints.len(),
        notes: found.iter().map(ToString::to_string).collect(),
    }
}

/// The same by name; if there is no such service, why.
pub(crate) fn find(
    all: &Intent,
    name: &ObjectName,
    findings: &Findings,
) -> Result<service::Intent, String> {
    if let Some(lb) = all.balancers.get(name) {
        return Ok(intent(lb, findings));
    }
    let notes: Vec<String> = about(name, findings).iter().map(ToString::to_string).collect();
    if !notes.is_empty() {
        return Err(format!("service {name} is not on the card: {}", notes.join("; ")));
    }
    let known: Vec<String> = all.balancers.keys().take(10).map(ToString::to_string).collect();
    Err(format!("no service {name} is known here; there are: {}", known.join(", ")))
}

/// What was found about a load balancer.
fn about<'a>(name: &ObjectName, findings: &'a Findings) -> &'a [Finding] {
    findings.get(&ObjectId::LoadBalancer(name.clone())).map_or(&[], |list| list)
}
