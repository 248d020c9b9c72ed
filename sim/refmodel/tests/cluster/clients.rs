//! Session affinity: clients and their members (sections 6 and 9.7).

use penstock_abi::affinity::client_lot;
use penstock_abi::hash::{FIELD_SIP, member_hash, scale};
use penstock_abi::reason::CardCounter;
use penstock_abi::table::*;
use penstock_refmodel::insert::Inserted;
use penstock_refmodel::packet::{frame, tcp, udp};
use penstock_refmodel::wire::ACK;
use penstock_refmodel::{Fault, Ingress, RefModel, Verdict};
use penstock_tables::Shape;

use crate::lab::*;
use crate::services::two_ports;
use crate::world::*;

stories![
    a_client_keeps_its_member_as_the_group_grows,
    a_client_is_forgotten_after_its_time,
    another_timeout_holds_from_the_next_connection,
    a_client_that_lost_its_member_goes_where_the_list_leads,
    a_slot_that_is_filled_again_is_another_member,
    a_connection_that_loses_its_member_does_not_ask_for_its_client,
    a_label_has_no_affinity,
    what_makes_no_pair_keeps_nobody,
    a_connection_that_keeps_its_member_renews_nobody,
    of_two_the_older_gives_way,
    what_has_expired_gives_way_first,
    the_host_deletes_clients,
];

const GROUP: u16 = 60;
const BASE: u32 = 600;
const PORT: u16 = 8080;
/// Numbers of two services.
const ONE: u16 = 5;
const ANOTHER: u16 = 6;
const TIMEOUT: u32 = 10;

/// A member of a slot: its generation, and whether it drains.
type Slot = Option<(u8, bool)>;

const THERE: Slot = Some((1, false));
const DRAINS: Slot = Some((1, true));
/// The slot of the member that is there first, to which the pod's hash does not lead.
const HOME: u32 = 7;
const FIRST: [Slot; 8] = [None, None, None, None, None, None, None, THERE];

/// A group of remote members, each with a label that says its slot.
fn group(m: &mut RefModel, slots: &[Slot], timeout: u32) {
    let word = |(slot, member): (usize, &Slot)| match member {
        Some((generation, drain)) => EcmpSlot {
            valid: true,
            drain: *drain,
            nh: NH_TUNNEL,
            label: 100 + slot as u32,
            generation: *generation,
            slot: slot as u16,
            ..EcmpSlot::default()
        },
        None => EcmpSlot::default(),
    };
    let words: Vec<EcmpSlot> = slots.iter().enumerate().map(word).collect();
    let live: Vec<EcmpSlot> = words.iter().filter(|w| w.valid && !w.drain).copied().collect();
    for (at, word) in (BASE..).zip(words.iter().chain(&live)) {
        assert!(m.write(TableId::Ecmp, at, &word.pack()));
    }
    let group = NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base: BASE,
        slots: slots.len() as u16,
        live: live.len() as u16,
        hash_fields: FIELD_SIP,
        ..NextHop::default()
    };
    assert!(m.write(TableId::NextHop, GROUP.into(), &group.with_affinity_time(timeout).pack()));
}

fn listener(m: &mut RefModel, ip: u32, port: u16, affinity: u16) {
    let key = ServiceKey { valid: true, net: NET, proto: 17, ip, port, ..ServiceKey::default() };
    put(m, ServiceKey { nh: GROUP, affinity, ..key });
}

/// A service of one member, whose clients are kept.
fn kept(fault: Option<Fault>) -> RefModel {
    let mut m = lab(fault);
    group(&mut m, &FIRST, TIMEOUT);
    listener(&mut m, SERVICE, PORT, ONE);
    listener(&mut m, SERVICE + 1, PORT, ONE);
    listener(&mut m, SERVICE, PORT + 1, ANOTHER);
    m
}

/// Units of clients' time pass.
fn pass(m: &mut RefModel, units: u32) {
    m.pass(units << 10);
}

/// The slot of a datagram's member.
fn slot(m: &mut RefModel, (client, sport): (u32, u16), (ip, port): (u32, u16)) -> u32 {
    let vif = if client == POD { POD_VIF } else { OTHER_VIF };
    way(from_vif(m, vif, &udp(client, ip, sport, port, b""))).1 - 100
}

/// That of a new connection of the pod's.
fn calls(m: &mut RefModel, sport: u16) -> u32 {
    slot(m, (POD, sport), (SERVICE, PORT))
}

fn hash(client: u32) -> u32 {
    member_hash(&key(0, 0, client, 0, 0, 0), FIELD_SIP)
}

/// Where the hash leads, of so many slots.
fn hashed(client: u32, slots: u32) -> u32 {
    scale(hash(client), slots)
}

/// The same of a packet that has affinity, at a time.
fn hashed_at(client: u32, slots: u32, now: u32) -> u32 {
    scale(hash(client) ^ client_lot(now), slots)
}

/// Where the list leads.
fn listed(client: u32, live: &[u32]) -> u32 {
    live[scale(hash(client).rotate_left(16), live.len() as u32) as usize]
}

/// Clients that were kept, and those that gave way.
fn counted(m: &RefModel) -> (u64, u64) {
    let of = |counter| m.counters().card(counter);
    (of(CardCounter::AffinityLearned), of(CardCounter::AffinityEvicted))
}

fn entry(m: &RefModel, client: u32, number: u16) -> Option<Affinity> {
    let mut all = m.clients().iter().map(|(_, entry)| *entry);
    all.find(|entry| (entry.client, entry.number) == (client, number))
}

fn a_client_keeps_its_member_as_the_group_grows(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    let made = Affinity {
        valid: true,
        number: ONE,
        client: POD,
        slot: 7,
        generation: 1,
        last: 0,
        timeout: TIMEOUT,
    };
    assert_eq!((entry(&m, POD, ONE), counted(&m)), (Some(made), (1, 0)));
    group(&mut m, &[THERE; 8], TIMEOUT);
    assert_ne!(hashed(POD, 8), HOME, "the hash leads elsewhere");
    assert_eq!(calls(&mut m, 1001), HOME);
    assert_eq!(slot(&mut m, (POD, 1002), (SERVICE + 1, PORT)), HOME, "by the other address");
    let other = slot(&mut m, (POD, 1003), (SERVICE, PORT + 1));
    assert_eq!(other, hashed(POD, 8), "another service");
    assert_eq!(slot(&mut m, (OTHER, 1000), (SERVICE, PORT)), hashed(OTHER, 8), "another client");
    assert_eq!((calls(&mut m, 1000), counted(&m)), (HOME, (3, 0)));
    // A group that has no such slot any more.
    group(&mut m, &[THERE; 4], TIMEOUT);
    assert_eq!((calls(&mut m, 1004), counted(&m)), (hashed(POD, 4), (3, 0)));
}

fn a_client_is_forgotten_after_its_time(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    group(&mut m, &[THERE; 8], TIMEOUT);
    for sport in 1001..1004 {
        pass(&mut m, TIMEOUT);
        assert_eq!(calls(&mut m, sport), HOME, "each connection renews");
    }
    // Its packets do not.
    pass(&mut m, TIMEOUT);
    assert_eq!(calls(&mut m, 1003), HOME);
    pass(&mut m, 1);
    let now = 4 * TIMEOUT + 1;
    let next = hashed_at(POD, 8, now);
    assert_ne!(next, hashed(POD, 8), "the address alone leads elsewhere");
    assert_eq!((calls(&mut m, 1004), calls(&mut m, 1003)), (next, HOME));
    // Forgotten again, it is sent anywhere again.
    pass(&mut m, TIMEOUT + 1);
    let after = hashed_at(POD, 8, now + TIMEOUT + 1);
    assert_ne!(after, next, "another time leads elsewhere");
    assert_eq!((calls(&mut m, 1005), counted(&m)), (after, (3, 0)));
}

fn another_timeout_holds_from_the_next_connection(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    group(&mut m, &[THERE; 8], 2);
    pass(&mut m, TIMEOUT);
    assert_eq!(calls(&mut m, 1001), HOME);
    pass(&mut m, 3);
    assert_eq!(calls(&mut m, 1002), hashed_at(POD, 8, TIMEOUT + 3));
    // None holds at once, and so does no number.
    pass(&mut m, TIMEOUT);
    group(&mut m, &FIRST, TIMEOUT);
    assert_eq!(calls(&mut m, 1003), HOME);
    group(&mut m, &[THERE; 8], 0);
    assert_eq!(calls(&mut m, 1004), hashed(POD, 8));
    group(&mut m, &[THERE; 8], TIMEOUT);
    assert_eq!(calls(&mut m, 1005), HOME, "nobody was kept meanwhile");
    listener(&mut m, SERVICE, PORT, 0);
    assert_eq!(calls(&mut m, 1006), hashed(POD, 8));
    listener(&mut m, SERVICE, PORT, ONE);
    assert_eq!(calls(&mut m, 1007), HOME);
}

fn a_client_that_lost_its_member_goes_where_the_list_leads(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    let mut slots = [THERE; 8];
    slots[HOME as usize] = DRAINS;
    group(&mut m, &slots, TIMEOUT);
    let next = listed(POD, &[0, 1, 2, 3, 4, 5, 6]);
    assert_ne!(next, hashed(POD, 8), "the hash leads elsewhere");
    assert_eq!((calls(&mut m, 1001), calls(&mut m, 1000)), (next, HOME));
    group(&mut m, &[THERE; 8], TIMEOUT);
    assert_eq!((calls(&mut m, 1002), counted(&m)), (next, (1, 0)), "where it was sent last");
}

fn a_slot_that_is_filled_again_is_another_member(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    let mut slots = [THERE; 8];
    slots[HOME as usize] = Some((2, false));
    group(&mut m, &slots, TIMEOUT);
    let next = listed(POD, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert_ne!(next, HOME, "the list leads elsewhere");
    assert_eq!(calls(&mut m, 1001), next);
    assert_eq!(entry(&m, POD, ONE).map(|e| u32::from(e.slot)), Some(next));
}

fn a_connection_that_loses_its_member_does_not_ask_for_its_client(fault: Option<Fault>) {
    let mut m = kept(fault);
    assert_eq!(calls(&mut m, 1000), HOME);
    let mut slots = [THERE; 8];
    slots[HOME as usize] = DRAINS;
    group(&mut m, &slots, TIMEOUT);
    let last = calls(&mut m, 1001);
    slots[HOME as usize] = None;
    // One more is gone, so that the list leads elsewhere.
    let (live, gone) = (0..7)
        .filter(|gone| *gone != last)
        .map(|gone| ((0..7).filter(|n| *n != gone).collect::<Vec<_>>(), gone))
        .find(|(live, _)| listed(POD, live) != last)
        .expect("there is one");
    slots[gone as usize] = None;
    group(&mut m, &slots, TIMEOUT);
    let next = listed(POD, &live);
    assert_eq!(calls(&mut m, 1000), next, "of a connection that was there");
    assert_eq!(calls(&mut m, 1002), next, "it is the last that was sent anywhere");
}

fn a_label_has_no_affinity(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    label(&mut m, 50, 60, VRF, true);
    let here = m.tables().next_hop(62).expect("it is there").with_affinity_time(TIMEOUT);
    assert!(m.write(TableId::NextHop, 62, &here.pack()));
    let service = m.tables().service_to(VRF, SERVICE, &key(0, 17, 0, SERVICE, 0, 8080));
    put(&mut m, ServiceKey { affinity: ONE, ..service.expect("it is there") });
    sent(by_tunnel(&mut m, NODE_B, 50, &udp(BACKEND, SERVICE, 1000, 8080, b"")), HOST_OTHER);
    assert_eq!((m.clients().iter().count(), counted(&m)), (0, (0, 0)));
}

fn what_makes_no_pair_keeps_nobody(fault: Option<Fault>) {
    let mut m = kept(fault);
    let datagram = frame(&udp(POD, SERVICE, 1000, PORT, b""));
    let twice = m.decide(Ingress::Host(POD_VIF), &datagram);
    assert_eq!(calls(&mut m, 1000), HOME);
    pass(&mut m, 3);
    // The same once more, as it was decided before the pair was there.
    let out = m.commit(Ingress::Host(POD_VIF), datagram.len(), twice);
    assert_eq!(out.inserted, Some(Inserted::Unchanged));
    assert_eq!(entry(&m, POD, ONE).map(|e| e.last), Some(0));
    assert_eq!(counted(&m), (1, 0));
}

fn a_connection_that_keeps_its_member_renews_nobody(fault: Option<Fault>) {
    let mut m = two_ports(fault);
    let timed = |m: &mut RefModel| {
        let group = m.tables().next_hop(61).expect("it is there").with_affinity_time(TIMEOUT);
        assert!(m.write(TableId::NextHop, 61, &group.pack()));
    };
    timed(&mut m);
    let service = m.tables().service_to(VRF, SERVICE, &key(0, 6, 0, SERVICE, 0, 9100));
    put(&mut m, ServiceKey { affinity: ONE, ..service.expect("it is there") });
    let to = tcp(POD, SERVICE, 1000, 9100, ACK, b"");
    sent(from_vif(&mut m, POD_VIF, &to), HOST_OTHER);
    assert_eq!(entry(&m, POD, ONE).map(|e| e.last), Some(0));
    pass(&mut m, 3);
    mapping(&mut m, 3, (OTHER, 9200), (SERVICE, 9100));
    members(&mut m, 61, 620, &[(NH_LOCAL, 3)]);
    timed(&mut m);
    let out = from_vif(&mut m, POD_VIF, &to);
    assert_eq!(out.inserted, Some(Inserted::Repinned));
    assert!(matches!(out.verdict, Verdict::Sent { .. }));
    assert_eq!(entry(&m, POD, ONE).map(|e| e.last), Some(0));
}

/// As [`kept`], of a card that has room for two clients.
fn few(fault: Option<Fault>) -> RefModel {
    let mut m = RefModel::of(Shape::default().with_affinity_rows_log2(0));
    m.set_enabled(true);
    if let Some(fault) = fault {
        m.plant(fault);
    }
    for (table, index, words) in kept(None).tables().dump() {
        assert!(m.write(table, index, &words));
    }
    m
}

/// Who is kept, by way.
fn clients(m: &RefModel) -> Vec<(u32, u32, u16)> {
    m.clients().iter().map(|(index, e)| (index, e.client, e.number)).collect()
}

fn of_two_the_older_gives_way(fault: Option<Fault>) {
    let mut m = few(fault);
    calls(&mut m, 1000);
    pass(&mut m, 1);
    slot(&mut m, (OTHER, 1000), (SERVICE, PORT));
    assert_eq!(clients(&m), [(0, POD, ONE), (1, OTHER, ONE)]);
    pass(&mut m, 1);
    slot(&mut m, (POD, 1001), (SERVICE, PORT + 1));
    assert_eq!(clients(&m), [(0, POD, ANOTHER), (1, OTHER, ONE)]);
    assert_eq!(counted(&m), (3, 1));
    // Of equal ones that in the lower way.
    slot(&mut m, (OTHER, 1001), (SERVICE, PORT));
    slot(&mut m, (OTHER, 1002), (SERVICE, PORT + 1));
    assert_eq!(clients(&m), [(0, OTHER, ANOTHER), (1, OTHER, ONE)]);
    assert_eq!(counted(&m), (4, 2));
}

fn what_has_expired_gives_way_first(fault: Option<Fault>) {
    let mut m = few(fault);
    calls(&mut m, 1000);
    group(&mut m, &FIRST, 2);
    pass(&mut m, 1);
    slot(&mut m, (OTHER, 1000), (SERVICE, PORT));
    pass(&mut m, 3);
    slot(&mut m, (POD, 1001), (SERVICE, PORT + 1));
    assert_eq!(clients(&m), [(0, POD, ONE), (1, POD, ANOTHER)], "the younger has expired");
    assert_eq!(counted(&m), (3, 0));
}

fn the_host_deletes_clients(fault: Option<Fault>) {
    let mut m = kept(fault);
    calls(&mut m, 1000);
    let (index, entry) =
        m.clients().iter().map(|(index, e)| (index, *e)).next().expect("it was made");
    assert!(!m.write(TableId::Affinity, index, &entry.pack()), "a write of it");
    assert!(m.write(TableId::Affinity, index, &Words::default()));
    group(&mut m, &[THERE; 8], TIMEOUT);
    assert_eq!(calls(&mut m, 1001), hashed(POD, 8));
    m.clear();
    assert_eq!((m.clients().iter().count(), counted(&m)), (0, (0, 0)));
}
