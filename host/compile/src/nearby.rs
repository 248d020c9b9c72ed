//! Which members serve when they are meant for some nodes or zones only, by the rules of kube-proxy:
//!
//! * If all members that take new connections are meant for some nodes, and one of them for this one, those serve that are
//!   meant for this node.
//! * Else, if all are meant for some zones, and one for this node's zone, those serve that are meant for this zone.
//! * Else hints are passed over. So one member without any, or nobody for this node, means that all serve: nobody is ever
//!   without a backend for want of a near one.
//!
//! Only who is asked first is decided here. Members that drain are not looked at: they serve only if no other does.

use penstock_model::{Hints, Member, MemberState};

/// Who of a listener's members is near enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nearby<'a> {
    /// All are.
    All,
    /// Those that are meant for this node.
    Node(&'a str),
    /// Those that are meant for this zone.
    Zone(&'a str),
}

impl<'a> Nearby<'a> {
    /// Decides for the members of a listener, on a node in a zone, if that is known.
    pub(crate) fn of<'m>(
        members: impl Iterator<Item = &'m Member>,
        node: &'a str,
        zone: Option<&'a str>,
    ) -> Self {
        let (mut nodes, mut zones) = (Told::default(), Told::default());
        for member in members.filter(|member| member.state == MemberState::Active) {
            nodes.hear(&member.hints.nodes, Some(node));
            zones.hear(&member.hints.zones, zone);
        }
        match zone {
            _ if nodes.count() => Self::Node(node),
            Some(zone) if zones.count() => Self::Zone(zone),
            _ => Self::All,
        }
    }

    /// Whether a member that takes new connections is given those of this node.
    pub(crate) fn has(self, hints: &Hints) -> bool {
        let named = |list: &[String], name: &str| list.iter().any(|other| other == name);
        match self {
            Self::All => true,
            Self::Node(node) => named(&hints.nodes, node),
            Self::Zone(zone) => named(&hints.zones, zone),
        }
    }
}

/// What members say of one kind of places.
#[derive(Default)]
struct Told {
    /// One says nothing.
    silent: bool,
    /// One says ours.
    ours: bool,
}

impl Told {
    fn hear(&mut self, places: &[String], ours: Option<&str>) {
        self.silent |= places.is_empty();
        self.ours |= places.iter().any(|place| Some(place.as_str()) == ours);
    }

    fn count(&self) -> bool {
        self.ours && !self.silent
    }
}
