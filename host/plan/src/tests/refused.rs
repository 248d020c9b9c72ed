//! What the compiler refuses: the card keeps what it has of it, as far as that is true.

use penstock_abi::table;
use penstock_compile::RouteTarget;
use penstock_model::MacAddr;
use penstock_tables::Shape;

use super::sound;
use super::world::{Bench, LOCAL, VIF, VRF, all, hop, map, pod, reaches, serve, vip};
use crate::{What, plan};

#[test]
fn what_the_compiler_refuses_keeps_what_is_true() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut served, vip(1), &[1, 2, LOCAL]);
    map(&mut served, vip(1), 80);
    bench.bring(&served);
    let refuse = |pods: &[u8]| {
        let mut d = reaches(pods);
        d.refused.insert(vip(1), all([1, 2, 3, LOCAL]));
        d
    };
    let (words, maps) = (bench.words(vip(1)), bench.card.of::<table::FipMap>().clone());
    // Nothing is known of it any more, and nothing changes.
    let refused = refuse(&[1, 2, 3, LOCAL]);
    assert!(bench.planner.plan(&refused).plan.is_empty());
    // Whatever is said all the same, nobody is added and nobody removed.
    let mut more = refuse(&[1, 2, 3, LOCAL]);
    serve(&mut more, vip(1), &[1, 3]);
    map(&mut more, vip(1), 81);
    assert!(bench.planner.plan(&more).plan.is_empty());
    assert_eq!(bench.bring(&refused), []);
    assert_eq!(bench.words(vip(1)), words);
    // Who is gone goes.
    bench.bring(&refuse(&[1, LOCAL]));
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 0], vec![0, 17, 0]));
    assert_eq!(bench.card.of::<table::FipMap>(), &maps);
    let mut other = refuse(&[1, LOCAL]);
    other.vifs.get_mut(&VIF).unwrap().mac = MacAddr([6; 6]);
    bench.bring(&other);
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 0], vec![17, 17, 17]));
    assert!(bench.card.of::<table::FipKey>().is_empty(), "another pod is at that vif");
    // Served again, under another generation.
    let mut again = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut again, vip(1), &[1, 2]);
    assert_eq!(bench.bring(&again), []);
    assert_eq!(bench.labels(vip(1)).1, [18, 17]);
    // Refused from the start, it has nothing to keep.
    let mut none = refuse(&[1]);
    none.refused.insert(vip(9), all([1]));
    serve(&mut none, vip(9), &[1]);
    bench.bring(&none);
    assert_eq!(bench.route(vip(9)), None);
}

/// The address passes to a younger owner for whom there is no room; then that one's backends change.
#[test]
fn what_the_compiler_refuses_serves_nobody_who_is_not_wanted() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2, 3, LOCAL]);
    serve(&mut served, vip(1), &[1, 2, 3, LOCAL]);
    map(&mut served, vip(1), 80);
    bench.bring(&served);
    assert_eq!(bench.labels(vip(1)), (vec![0, 17, 18, 19], vec![0, 17, 18, 19]));
    let mut refuse = |lasts: &[u8]| {
        let mut d = reaches(&[1, 2, 3, 4, LOCAL]);
        d.refused.insert(vip(1), all(lasts.iter().copied()));
        assert_eq!(bench.bring(&d), []);
        sound::only_wanted(&bench.card, &d).unwrap();
        (bench.labels(vip(1)), bench.card.of::<table::FipKey>().len())
    };
    // One of the new owner's is not there yet, and does not come; the local one's mapping and its marks go with it.
    assert_eq!(refuse(&[1, 2, 4, LOCAL]), ((vec![0, 17, 18, 0], vec![0, 17, 18, 0]), 3));
    assert_eq!(refuse(&[2, 4]), ((vec![0, 0, 18, 0], vec![18, 18, 18, 18]), 0));
    assert_eq!(refuse(&[1, 2]), ((vec![0, 0, 18, 0], vec![18, 18, 18, 18]), 0));
    assert_eq!(refuse(&[]), ((vec![0, 0, 0, 0], vec![]), 0));
    let group = bench.group(vip(1)).unwrap();
    assert_eq!(group.live, 0, "new flows are dropped");
}

/// A floating IP that leads to one pod, as a proxy's does.
#[test]
fn one_hop_of_what_the_compiler_refuses_stays_while_it_is_wanted() {
    let mut bench = Bench::new(Shape::default());
    let mut served = reaches(&[1, 2]);
    served.routes.insert((VRF, vip(1)), RouteTarget::Hop(hop(1)));
    bench.bring(&served);
    let mut refuse = |pods: &[u8], wanted: &[u8]| {
        let mut d = reaches(pods);
        d.refused.insert(vip(1), all(wanted.iter().copied()));
        bench.bring(&d);
        bench.route(vip(1)).map(|route| route.label)
    };
    assert_eq!(refuse(&[1, 2], &[1, 2]), Some(17));
    assert_eq!(refuse(&[1, 2], &[2]), None);
}

/// The card has no place for the route of a pod, so only what is desired says whom a member's hop leads to.
#[test]
fn what_is_refused_is_looked_at_when_a_pod_without_a_place_moves() {
    // Eight places.
    let mut bench = Bench::new(Shape { host_route_rows_log2: 0, ..Shape::default() });
    let others: Vec<u8> = (1..=7).collect();
    let mut d = reaches(&others);
    serve(&mut d, vip(1), &[1]);
    bench.bring(&d);
    d.routes.insert((VRF, pod(8)), RouteTarget::Hop(hop(8)));
    serve(&mut d, vip(1), &[1, 8]);
    let refused = bench.bring(&d);
    assert_eq!(
        refused.iter().map(|(what, _)| *what).collect::<Vec<_>>(),
        [What::Route(VRF, pod(8))]
    );
    d.routes.remove(&(VRF, vip(1)));
    d.services.clear();
    d.refused.insert(vip(1), all([1, 8]));
    bench.bring(&d);
    assert_eq!(bench.labels(vip(1)).0, [17, 24]);
    d.routes.insert((VRF, pod(8)), RouteTarget::Hop(hop(9)));
    bench.bring(&d);
    assert_eq!(bench.labels(vip(1)).0, [17, 0]);
}

/// A route that is kept though it is refused leads to nobody who is wanted, and says nothing of the others who are reached so.
#[test]
fn what_is_kept_of_a_refused_route_does_not_unsettle_groups() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[1, 2]);
    serve(&mut d, vip(1), &[1, 2]);
    d.routes.insert((VRF, vip(9)), RouteTarget::Hop(hop(1)));
    bench.bring(&d);
    let brief = |b: &Bench| {
        b.words(vip(1)).iter().map(|w| (w.valid, w.label, w.generation, w.slot)).collect::<Vec<_>>()
    };
    let before = brief(&bench);
    d.routes.remove(&(VRF, vip(9)));
    d.refused.insert(vip(9), all([1]));
    bench.bring(&d);
    let again = plan(&d, &bench.card).plan.writes();
    assert_eq!((brief(&bench), again), (before, 0), "slots kept, settled");
}
