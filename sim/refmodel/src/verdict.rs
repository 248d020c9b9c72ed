//! What comes out of a decision.

use penstock_abi::limits::VIF_FABRIC;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{Flow, FlowKey};

use crate::clients::ClientKey;
use crate::flows::Pair;
use crate::fragments::FragmentId;
use crate::shares::Refusal;

/// The port by which a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ingress {
    /// From the wire.
    Fabric,
    /// From the host side, with the stream's vif number.
    Host(u8),
}

impl Ingress {
    /// The vif that it counts for.
    #[must_use]
    pub const fn vif(self) -> u8 {
        match self {
            Self::Fabric => VIF_FABRIC,
            Self::Host(vif) => vif,
        }
    }
}

/// The port by which a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Egress {
    /// To the wire.
    Fabric,
    /// To the host side, for this vif.
    Host(u8),
    /// To the firmware.
    Firmware {
        /// `TrapReason` as a number.
        reason: u8,
        /// vif by which the frame came.
        vif: u8,
    },
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves.
    Sent {
        /// By this port.
        egress: Egress,
        /// With these bytes.
        frame: Vec<u8>,
    },
    /// It does not.
    Dropped(DropReason),
}

/// What a packet asks of the insertion unit (section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// Nothing.
    No,
    /// A pair for a packet that found no entry.
    New(Pair),
    /// A pair in place of one that is not usable, or whose connection is over.
    Replace(Pair),
    /// A pair in place of one that no longer holds.
    Repin(Pair),
    /// New `ecmp…` fields for an entry of the reply direction.
    ReverseRepin {
        /// Key of the entry.
        key: FlowKey,
        /// Slot of the member.
        slot: u16,
        /// Generation of the slot.
        generation: u8,
    },
    /// The packet was dropped, as its flow came by another tunnel: from now on by this one.
    Move {
        /// Key of the entry.
        key: FlowKey,
        /// Outer source address of the packet.
        outer_sip: u32,
        /// The far end is a floating IP, that is, one of several members.
        service: bool,
        /// Next hop of the listener, or of the route to the key's source address.
        nh: u16,
    },
    /// The packet was dropped, as another connection's entry has this key: if that connection is dead, its pair goes.
    DeadPair {
        /// Key of the entry.
        key: FlowKey,
    },
}

impl Learn {
    /// The pair that is asked for.
    #[must_use]
    pub const fn pair(&self) -> Option<&Pair> {
        match self {
            Self::New(pair) | Self::Replace(pair) | Self::Repin(pair) => Some(pair),
            _ => None,
        }
    }
}

/// Rules of the specification that drop a packet, or send it another way, for a reason that the drop's code does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // Each is the rule of that name.
pub enum Rule {
    // Sections 2 and 3
    Tagged,
    GroupMac,
    OtherMac,
    OuterHeaderChecksum,
    OuterFirstFragment,
    OuterLaterFragment,
    GreFlags,
    OuterLengths,
    OuterUdpChecksum,
    GreChecksum,
    InnerTtl,
    // Section 4
    MartianSource,
    // Section 5
    UnusableReply,
    UnusableAtEgress,
    ConnectionOver,
    TunnelOfFlow,
    SourceCheck,
    // Section 6
    ServiceLabel,
    LabelFragment,
    NobodyHere,
    Service,
    AddressFragment,
    AddressRefuses,
    AddressDrops,
    EgressWay,
    GroupFragment,
    GroupRefuses,
    SynLeavesDraining,
    UdpEvicted,
    ClientKept,
    ClientLost,
    // Section 7
    MarkedFragment,
    MarkedReply,
    MarkedError,
    BegunByFarEnd,
    EgressFragment,
    NotToBeApplied,
    MappingNotValid,
    ClientUnknown,
    BackToNode,
    // Section 9.1
    OwnReply,
    Clash,
    PlainPairMoved,
    ServiceBeforePlainPair,
    ShareOver,
    TableFull,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 46] = [
        Self::Tagged,
        Self::GroupMac,
        Self::OtherMac,
        Self::OuterHeaderChecksum,
        Self::OuterFirstFragment,
        Self::OuterLaterFragment,
        Self::GreFlags,
        Self::OuterLengths,
        Self::OuterUdpChecksum,
        Self::GreChecksum,
        Self::InnerTtl,
        Self::MartianSource,
        Self::UnusableReply,
        Self::UnusableAtEgress,
        Self::ConnectionOver,
        Self::TunnelOfFlow,
        Self::SourceCheck,
        Self::ServiceLabel,
        Self::LabelFragment,
        Self::NobodyHere,
        Self::Service,
        Self::AddressFragment,
        Self::AddressRefuses,
        Self::AddressDrops,
        Self::EgressWay,
        Self::GroupFragment,
        Self::GroupRefuses,
        Self::SynLeavesDraining,
        Self::UdpEvicted,
        Self::ClientKept,
        Self::ClientLost,
        Self::MarkedFragment,
        Self::MarkedReply,
        Self::MarkedError,
        Self::BegunByFarEnd,
        Self::EgressFragment,
        Self::NotToBeApplied,
        Self::MappingNotValid,
        Self::ClientUnknown,
        Self::BackToNode,
        Self::OwnReply,
        Self::Clash,
        Self::PlainPairMoved,
        Self::ServiceBeforePlainPair,
        Self::ShareOver,
        Self::TableFull,
    ];
}

/// Everything that follows from one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// Key under which the flow table was asked, if it was.
    pub lookup: Option<FlowKey>,
    /// The usable flow that was found counts this packet (it was forwarded).
    pub counts_on_flow: bool,
    /// Section 7 applied a mapping.
    pub translated: bool,
    /// Request to the insertion unit.
    pub learn: Learn,
    /// TCP flags byte, if the packet itself is TCP.
    pub tcp_flags: Option<u8>,
    /// The packet is an ICMP error, looked up by the key of the packet that it embeds.
    pub icmp_error: bool,
    /// Its request for a pair was forgotten, and it leaves all the same.
    pub deferred: bool,
    /// Its pair was refused for a share.
    pub refusal: Option<Refusal>,
    /// Forward entry of the pair without which it must not leave (section 9.1).
    pub without: Option<Flow>,
    /// First fragment of a tunnel packet, to be remembered.
    pub first_fragment: Option<FragmentId>,
    /// The client whose entry decides.
    pub client: Option<ClientKey>,
    /// What stands behind the verdict, where its code leaves that open.
    pub rule: Option<Rule>,
}

impl Decision {
    pub(crate) fn plain(verdict: Verdict) -> Self {
        Self {
            verdict,
            lookup: None,
            counts_on_flow: false,
            translated: false,
            learn: Learn::No,
            tcp_flags: None,
            icmp_error: false,
            deferred: false,
            refusal: None,
            without: None,
            first_fragment: None,
            client: None,
            rule: None,
        }
    }
}

/// What a packet may ask for that is dropped: see the variants of [`Learn`] of these names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Move { key: FlowKey, outer_sip: u32, service: bool, nh: u16 },
    DeadPair { key: FlowKey },
}

impl From<Request> for Learn {
    fn from(request: Request) -> Self {
        match request {
            Request::Move { key, outer_sip, service, nh } => {
                Self::Move { key, outer_sip, service, nh }
            }
            Request::DeadPair { key } => Self::DeadPair { key },
        }
    }
}

/// A drop, and what it leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: DropReason,
    pub(crate) rule: Option<Rule>,
    pub(crate) request: Option<Request>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) without: Option<Box<Flow>>,
    pub(crate) first_fragment: Option<FragmentId>,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self {
            reason,
            rule: None,
            request: None,
            refusal: None,
            without: None,
            first_fragment: None,
        }
    }
}

impl Refused {
    /// A drop for a reason, by a rule.
    pub(crate) fn by(rule: Rule, reason: DropReason) -> Self {
        Self { rule: Some(rule), ..reason.into() }
    }
}
