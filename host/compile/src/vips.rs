//! Floating IPs: each is made on its own, of the load balancers that claim it and of what is known of the addresses behind it.
//!
//! Two indices say which ones a change concerns: who claims an address, and of which addresses a provider asked while it made
//! a floating IP. All others keep what they have.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use penstock_abi::table::TableId;
use penstock_model::{
    Advertisement, Finding, Intent, IpNet, LoadBalancer, MplsLabel, ObjectId, ObjectName, OrdMap,
    Pod, Reason,
};

use penstock_tables::Shape;

use crate::book::Teller;
use crate::maps::{changes, put};
use crate::owner::{self, Known, not_served};
use crate::places::{Context, Places};
use crate::provider::{Providers, Reach, Served, Vip};
use crate::room::{self, Ledger, Need};
use crate::site::Site;
use crate::{Group, LabelEntry, NextHopKey, RouteTarget, labels};

/// The lowest address and the highest.
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

/// All floating IPs.
#[derive(Debug, Default)]
pub(crate) struct Vips {
    balancers: OrdMap<ObjectName, Arc<LoadBalancer>>,
    pods: OrdMap<IpAddr, Arc<Pod>>,
    /// Who wants an address, by seniority.
    claims: BTreeMap<IpAddr, Vec<Arc<LoadBalancer>>>,
    /// Addresses that have an owner.
    made: BTreeMap<IpAddr, Made>,
    /// (Address, floating IP for which a provider asked about it).
    asked: BTreeSet<(IpAddr, IpAddr)>,
    /// Addresses that are served, or would be if there were room, the oldest owner's first.
    order: BTreeSet<Senior>,
    ledger: Ledger,
    /// What the node itself needs.
    node: Need,
    /// Addresses that somebody on this node serves, if it gives labels to such, the oldest owner's first.
    here: BTreeSet<Senior>,
    /// Their labels.
    labels: BTreeMap<IpAddr, MplsLabel>,
    /// Labels that others have.
    taken: BTreeSet<MplsLabel>,
    /// Those for which a table has no room.
    refused: BTreeMap<IpAddr, TableId>,
}

/// What was made of a floating IP.
#[derive(Debug)]
struct Made {
    owner: Arc<LoadBalancer>,
    /// Who has a part of it.
    sharers: Vec<Arc<LoadBalancer>>,
    /// Nothing if it may not be served, or nobody can.
    served: Option<Served>,
    need: Need,
    /// Nobody can serve it, so the card shall keep what it has.
    kept: bool,
    /// Addresses of which the provider asked.
    asked: Box<[IpAddr]>,
}

impl Vips {
    /// Makes floating IPs again, and says how many. `besides` are host routes and mappings that others need, and labels that they have.
    pub(crate) fn update(
        &mut self,
        again: BTreeSet<IpAddr>,
        (besides, taken): ((usize, usize), BTreeSet<MplsLabel>),
        places: &Places,
        providers: &Providers,
        cx: &mut Context<'_>,
    ) -> usize {
        let mut before: BTreeMap<IpAddr, Option<Made>> = BTreeMap::new();
        for &address in &again {
            let (made, findings) = self.make(address, places, providers, cx);
            let about = |(name, finding)| (ObjectId::LoadBalancer(name), finding);
            cx.book.say(&Teller::Vip(address), findings.into_iter().map(about).collect());
            before.insert(address, self.replace(address, made));
        }
        let next_hops = cx.out.desired.next_hops.len();
        let host_routes = places.host_routes(cx.shape) + besides.0;
        let node = Need::of_node(next_hops, host_routes, besides.1);
        if again.is_empty() && node == self.node && taken == self.taken {
            return 0;
        }
        (self.node, self.taken) = (node, taken);
        let refused = self.share_room(cx.shape);
        let was_refused = std::mem::replace(&mut self.refused, refused);
        let made_anew = again.len();
        let mut changed = again;
        let differs = |address: &&IpAddr| was_refused.get(address) != self.refused.get(address);
        changed.extend(was_refused.keys().chain(self.refused.keys()).filter(differs));
        let had_labels = self.give_labels(cx);
        let differs = |address: &&IpAddr| had_labels.get(address) != self.labels.get(address);
        changed.extend(had_labels.keys().chain(self.labels.keys()).filter(differs));
        for &address in &changed {
            let made = self.made.get(&address);
            let old = match before.get(&address) {
                Some(old) => old.as_ref(),
                None => made,
            };
            let served = |made: Option<&'_ Made>, labels: &BTreeMap<_, _>| {
                let label = labels.get(&address).copied();
                made.and_then(|made| Some(made.served.clone()?.under(label)))
            };
            let old = served(old, &had_labels).filter(|_| !was_refused.contains_key(&address));
            let full = self.refused.get(&address).copied();
            let new = served(made, &self.labels).filter(|_| full.is_none());
            let kept = full.is_some() || made.is_some_and(|made| made.kept);
            let wanted = kept.then(|| self.wanted(address, places, cx.site));
            write(address, old, new, places, cx);
            write_state(address, made, full, wanted, cx);
        }
        self.write_labels(&changed, &had_labels, cx);
        made_anew
    }

    /// Gives labels anew to all that are served here, and says which they had.
    fn give_labels(&mut self, cx: &mut Context<'_>) -> BTreeMap<IpAddr, MplsLabel> {
        let block = cx.site.node.service_labels.map_or(0..0, |block| block.below(cx.shape.labels));
        let served = self.here.iter().filter(|one| !self.refused.contains_key(&one.address));
        let labels = labels::allot(&block, &self.taken, served.clone().map(|one| one.address));
        let without = served.filter(|one| !labels.contains_key(&one.address)).map(|one| {
            let text = format!(
                "no label is free for {}: what other nodes send to it comes by its members' labels",
                one.address
            );
            let about = ObjectId::LoadBalancer(one.owner.name.clone());
            (about, Finding::partial(Reason::Text { text }))
        });
        cx.book.say(&Teller::VipLabels, without.collect());
        std::mem::replace(&mut self.labels, labels)
    }

    /// Makes the label map say what labels floating IPs have instead of those that they had.
    fn write_labels(
        &self,
        changed: &BTreeSet<IpAddr>,
        had: &BTreeMap<IpAddr, MplsLabel>,
        cx: &mut Context<'_>,
    ) {
        let has: BTreeSet<&MplsLabel> = self.labels.values().chain(&self.taken).collect();
        for &label in had.values().filter(|label| !has.contains(label)) {
            put(&mut cx.out.desired.labels, label, None);
        }
        for &address in changed {
            let served = self.made.get(&address).and_then(|made| made.served.as_ref());
            let vrf = served.and_then(|served| served.label_vrf);
            if let Some((&label, vrf)) = self.labels.get(&address).zip(vrf) {
                let next_hop = NextHopKey::Discard;
                let entry = LabelEntry { next_hop, service: Some(address), vrf };
                put(&mut cx.out.desired.labels, label, Some(entry));
            }
        }
    }

    /// The load balancer that owns an address.
    pub(crate) fn owner(
        &self,
        address: IpAddr,
        places: &Places,
        site: &Site,
    ) -> Option<ObjectName> {
        let known = Known { site, places, pods: &self.pods };
        let claims = self.claims.get(&address)?;
        let grant = owner::grant(address, claims, known, &mut Vec::new())?;
        Some(grant.owner.name.clone())
    }

    /// Takes over what claims are made of, and gives the floating IPs that have to be made again; something changed at `addresses`.
    pub(crate) fn take(
        &mut self,
        intent: &Intent,
        addresses: &BTreeSet<IpAddr>,
    ) -> BTreeSet<IpAddr> {
        let mut again = BTreeSet::new();
        let (gone, came) = changes(&mut self.pods, &intent.pods);
        let pods: BTreeSet<IpAddr> = gone.into_iter().chain(came).map(|(pod, _)| pod).collect();
        again.extend(addresses.union(&pods).filter(|address| self.claims.contains_key(address)));
        for &address in addresses {
            let concerned = self.asked.range((address, FIRST)..=(address, LAST));
            again.extend(concerned.map(|(_, vip)| *vip));
        }
        let (gone, came) = changes(&mut self.balancers, &intent.balancers);
        for (name, balancer) in gone {
            for ip in &balancer.floating_ips {
                again.insert(ip.address);
                if let Some(claims) = self.claims.get_mut(&ip.address) {
                    claims.retain(|claim| claim.name != name);
                    if claims.is_empty() {
                        self.claims.remove(&ip.address);
                    }
                }
            }
        }
        for (_, balancer) in came {
            for ip in &balancer.floating_ips {
                again.insert(ip.address);
                let claims = self.claims.entry(ip.address).or_default();
                let place =
                    claims.partition_point(|claim| claim.seniority() < balancer.seniority());
                if claims.get(place).is_none_or(|claim| claim.name != balancer.name) {
                    claims.insert(place, balancer.clone());
                }
            }
        }
        again
    }

    /// Makes a floating IP; nothing if it has no owner.
    fn make(
        &self,
        address: IpAddr,
        places: &Places,
        providers: &Providers,
        cx: &Context<'_>,
    ) -> (Option<Made>, owner::Findings) {
        let mut findings = Vec::new();
        let known = Known { site: cx.site, places, pods: &self.pods };
        let wanted = self.claims.get(&address).map_or(&[][..], Vec::as_slice);
        let Some(grant) = owner::grant(address, wanted, known, &mut findings) else {
            return (None, findings);
        };
        let mut made = Made {
            owner: grant.owner.clone(),
            sharers: grant.sharers.iter().copied().cloned().collect(),
            served: None,
            need: Need::default(),
            kept: false,
            asked: Box::default(),
        };
        if grant.sharers.is_empty() {
            return (Some(made), findings);
        }
        let Some(provider) = providers.get(&grant.owner.provider) else {
            made.kept = true;
            let provider = grant.owner.provider.to_string();
            findings.extend(refusals(&made, &Reason::NoProvider { provider }));
            return (Some(made), findings);
        };
        let reach = Reach::new(cx.site, places, *cx.shape);
        let vip = Vip {
            address,
            owner: grant.owner,
            network: &grant.ip.network,
            vrfs: cx.site.vrfs_of(&grant.ip.network),
            nets: cx.site.nets_of(&grant.ip.network),
            label_vrf: cx.site.label_vrf(&grant.ip.network),
            kind: grant.ip.kind,
            fronts: grant.fronts,
        };
        let mut served = provider.serve(&vip, &reach);
        findings.append(&mut served.findings);
        made.need = Need::of(&served);
        made.served = Some(served);
        made.asked = reach.asked();
        (Some(made), findings)
    }

    /// Puts what was made in the place of what was there, in the indices too.
    fn replace(&mut self, address: IpAddr, made: Option<Made>) -> Option<Made> {
        let old = self.made.remove(&address);
        let (had, has) = (old.as_ref(), made.as_ref());
        let asked = |made: Option<&Made>| -> Box<[IpAddr]> {
            made.map(|made| made.asked.clone()).unwrap_or_default()
        };
        let (were, are) = (asked(had), asked(has));
        if were != are {
            for &about in &were {
                self.asked.remove(&(about, address));
            }
            self.asked.extend(are.iter().map(|&about| (about, address)));
        }
        let served = |made: Option<&Made>| -> Option<Senior> {
            made.filter(|made| made.served.is_some())
                .map(|made| Senior { owner: made.owner.clone(), address })
        };
        if let Some(senior) = served(had) {
            self.order.remove(&senior);
            self.here.remove(&senior);
        }
        self.order.extend(served(has));
        let is_here = |made: &&Made| made.served.as_ref().is_some_and(|s| s.label_vrf.is_some());
        self.here.extend(served(has.filter(is_here)));
        if let Some((need, served)) = had.and_then(Made::needs) {
            self.ledger.leave(address, need, served);
        }
        if let Some((need, served)) = has.and_then(Made::needs) {
            self.ledger.enter(address, need, served);
        }
        if let Some(made) = made {
            self.made.insert(address, made);
        }
        old
    }

    /// The pods that those who have a part of a floating IP want behind it, and those that its provider has chosen. So what the
    /// card has of pods of somebody who had the address before is none of theirs.
    fn wanted(&self, address: IpAddr, places: &Places, site: &Site) -> BTreeSet<IpAddr> {
        let known = Known { site, places, pods: &self.pods };
        let claims = self.claims.get(&address).map_or(&[][..], Vec::as_slice);
        let grant = owner::grant(address, claims, known, &mut Vec::new());
        let mut wanted = BTreeSet::new();
        for front in grant.iter().flat_map(|grant| &grant.fronts) {
            let members = front.members().filter(|member| front.is_for(member, &site.node.name));
            wanted.extend(members.map(|member| member.address));
        }
        let Some(made) = self.made.get(&address) else { return wanted };
        let pods = |group: &Group| -> Vec<IpAddr> {
            group.members.iter().filter_map(|member| member.pod).collect()
        };
        for (_, entry) in made.served.iter().flat_map(|served| &served.listeners) {
            if let RouteTarget::Group(group) = &entry.target {
                wanted.extend(pods(group));
            }
        }
        for (vrf, target) in made.served.iter().flat_map(|served| &served.routes) {
            match target {
                RouteTarget::Group(group) => wanted.extend(pods(group)),
                RouteTarget::Listener(_) => {}
                RouteTarget::Hop(hop) => {
                    let is_there = |pod: &&IpAddr| places.hop(*vrf, **pod) == Some(*hop);
                    wanted.extend(made.asked.iter().filter(is_there));
                }
            }
        }
        wanted
    }

    /// Those for which there is no room, with the table that is full.
    fn share_room(&self, shape: &Shape) -> BTreeMap<IpAddr, TableId> {
        if self.ledger.fits(self.node, shape) {
            return BTreeMap::new();
        }
        let wanted = self.order.iter().filter_map(|senior| {
            let (need, served) = self.made.get(&senior.address)?.needs()?;
            Some((senior.address, need, served))
        });
        room::refused(wanted, self.node, shape)
    }
}

impl Made {
    fn needs(&self) -> Option<(Need, &Served)> {
        Some((self.need, self.served.as_ref()?))
    }
}

/// A floating IP by its owner's seniority.
#[derive(Debug)]
struct Senior {
    owner: Arc<LoadBalancer>,
    address: IpAddr,
}

impl Ord for Senior {
    fn cmp(&self, other: &Self) -> Ordering {
        let this = (self.owner.seniority(), self.address);
        this.cmp(&(other.owner.seniority(), other.address))
    }
}

impl PartialOrd for Senior {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Senior {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Senior {}

/// That all who have a part of a floating IP are not served there.
fn refusals(made: &Made, reason: &Reason) -> Vec<(ObjectName, Finding)> {
    let refusal = |balancer: &Arc<LoadBalancer>| {
        (balancer.name.clone(), not_served(balancer, reason.clone()))
    };
    made.sharers.iter().map(refusal).collect()
}

/// Makes the tables say of a floating IP what is new instead of what is old. What is in both is not touched.
///
/// An address that is a pod's from now on has the pod's entries already; they are not the floating IP's to take away.
fn write(
    address: IpAddr,
    old: Option<Served>,
    new: Option<Served>,
    places: &Places,
    cx: &mut Context<'_>,
) {
    let next_hop = cx.site.address();
    let desired = &mut cx.out.desired;
    let (old, is_new) = (old.unwrap_or_default(), new.is_some());
    let new = new.unwrap_or_default();
    let prefix = IpNet::from(address);
    for (vrf, _) in &old.routes {
        let stays = new.routes.iter().any(|(other, _)| other == vrf);
        if !stays && !places.has_route(*vrf, address) {
            desired.routes.remove(&(*vrf, address));
        }
    }
    for (vrf, target) in new.routes {
        put(&mut desired.routes, (vrf, address), Some(target));
    }
    for (key, _) in &old.listeners {
        if !new.listeners.iter().any(|(other, _)| other == key) {
            desired.listeners.remove(key);
        }
    }
    for (key, entry) in new.listeners {
        put(&mut desired.listeners, key, Some(entry));
    }
    put(&mut desired.floating, address, new.floating);
    let entries = |served: &[_]| -> BTreeMap<_, _> {
        served.iter().map(|one: &crate::Translation| one.entry(address)).collect()
    };
    let (were, are) = (entries(&old.translations), entries(&new.translations));
    for key in were.keys().filter(|key| !are.contains_key(key)) {
        desired.fip.remove(key);
    }
    for (key, target) in are {
        put(&mut desired.fip, key, Some(target));
    }
    let advertised = &mut cx.out.advertisements;
    let advertisement = |(vrf, label)| Advertisement { vrf, prefix, label, next_hop };
    let of_pod = places.vif(address).map(|vif| (vif.vrf, vif.label));
    for &one in old.advertised.difference(&new.advertised).filter(|one| of_pod != Some(**one)) {
        advertised.remove(&advertisement(one));
    }
    for &one in &new.advertised {
        put(advertised, advertisement(one), Some(()));
    }
    put(&mut desired.services, address, is_new.then(|| Arc::new(new.ports)));
}

/// Says whose a floating IP is, and whether it is refused: `wanted` then are the pods of which the card keeps what it has.
fn write_state(
    address: IpAddr,
    made: Option<&Made>,
    full: Option<TableId>,
    wanted: Option<BTreeSet<IpAddr>>,
    cx: &mut Context<'_>,
) {
    let owner = made.map(|made| ObjectId::LoadBalancer(made.owner.name.clone()));
    put(&mut cx.out.owners, address, owner);
    put(&mut cx.out.desired.refused, address, wanted.map(Arc::new));
    let refusals = match (made, full) {
        (Some(made), Some(table)) => refusals(made, &room::full(table, cx.shape)),
        _ => Vec::new(),
    };
    let about = |(name, finding)| (ObjectId::LoadBalancer(name), finding);
    cx.book.say(&Teller::VipRoom(address), refusals.into_iter().map(about).collect());
}
