//! Why the card dropped a packet, and the counters that are not drops.

use crate::word::codes;

macro_rules! reasons {
    ($(#[doc = $edoc:literal])+ $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $code:literal, $print:literal $(, since $since:literal)?; )* }) => {
        $(#[doc = $edoc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $doc])+ $variant = $code ),* }
        impl $name {
            /// Every variant with its identifier and meaning, in the order of the codes.
            pub const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$variant, stringify!($variant), concat!($($doc),+))),*];
            /// The name under which tools print it.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $print),* }
            }
            /// Minor version that added it; 0 = as old as the major version.
            #[must_use]
            pub const fn since(self) -> u16 {
                match self { $(Self::$variant => 0 $(+ $since)?),* }
            }
            /// The variant with this code.
            #[must_use]
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    /// Reasons for a drop, the index of the `DropStats` table. Labels are those of vRouter's `dropstats` where one fits.
    DropReason {
        /// Frame malformed: too short, bad version or header length, lengths that contradict each other, undefined GRE flags.
        InvalidPacket = 0, "Invalid Packets";
        /// Source vif not configured, or outgoing vif not valid.
        InvalidIf = 1, "Invalid IF";
        /// Not IPv4 (nor ARP) where IPv4 is needed.
        InvalidProtocol = 2, "Invalid Protocol";
        /// Checksum wrong: of an IPv4 header, inner or outer, of the outer UDP or of GRE.
        Checksum = 3, "Checksum errors";
        /// Label unknown, out of range or not bottom of stack.
        InvalidLabel = 4, "Invalid Label";
        /// TTL (IP from a vif, MPLS from the fabric) ran out.
        TtlExceeded = 5, "TTL Exceeded";
        /// Source address is not the vif's; from the fabric, a tunnel by which it cannot come, or not its flow's; or an address to which a translated reply could not be given back.
        InvalidSource = 6, "Invalid Source";
        /// No route, a Discard next hop, a group without live members, or a multicast destination.
        Discard = 7, "Discards";
        /// Next hop not valid, or a composite inside a composite.
        InvalidNextHop = 8, "Invalid NH";
        /// Destination is neither the pod's address nor mapped to it (Contrail's NoFipPortMap); or a floating IP's, of which nobody, or nobody here, serves the port.
        NoFipPortMap = 9, "Flow Action Drop";
        /// A fragment that would need translation, a service or a member of a group, or of a tunnel packet.
        Fragments = 10, "Fragment errors";
        /// A packet from the fabric would go back to the fabric, or one of the node to the node.
        PacketLoop = 11, "Packet Loop";
        /// The firmware's queue of exception packets was full.
        TrapQueueFull = 12, "Trap Queue Full";
        /// Frame longer than the card takes.
        Oversize = 13, "IF RX Discard";
        /// Data path disabled.
        Disabled = 14, "IF Drop";
        /// A new flow that needs translation found the flow table more than 29/32 full.
        FlowTableFull = 15, "Flow Table Full";
        /// A new flow that needs translation found no room among the requests for entries.
        FlowQueueFull = 16, "Flow Queue Limit Exceeded";
        /// A reply without the flow entry that would translate it.
        FlowUnusable = 17, "Flow Unusable";
        /// Replies of this flow could not be told from those of another connection.
        FlowClash = 18, "Flow NAT no rflow";
        /// The frame would leave longer than the card's limit.
        EgressOversize = 19, "IF TX Discard";
        /// From a pod, and not to the gateway's MAC address.
        NotForGateway = 20, "No L2 Route";
        /// A new flow that needs an entry, of a vif that makes none (`Vif.learn`).
        LearnOff = 21, "Hw: Learn off";
        /// An entry that decides about the packet stands in the card with the wrong parity: a bit of it flipped.
        TableParity = 22, "Table Parity";
        /// A new flow that needs translation, of which a share of the flow table has what it may have (its vif's, or its tunnel's).
        FlowQuota = 23, "New Flow Drops", since 2;
    }
}

reasons! {
    /// Counters that are not drops, the index of the `CardStats` table.
    CardCounter {
        /// Flow pairs inserted.
        FlowsLearned = 0, "Flows learned";
        /// Flow entries in use now.
        FlowsInUse = 1, "Flows in use";
        /// A pair was not inserted because a key had no free slot; the packet was forwarded all the same.
        FlowTableFull = 2, "Flow Table Full";
        /// A pair that translates nothing was not inserted because there was no room among the requests for entries; a later packet tries again.
        LearnDeferred = 3, "Learn deferred";
        /// Flow entries rewritten because their member or mapping was gone.
        FlowsRepinned = 4, "Flows re-pinned";
        /// Packets handed to the firmware.
        Trapped = 5, "Original Packet Trapped";
        /// Frames sent by the firmware.
        FirmwareTx = 6, "Firmware TX";
        /// Flow pairs that were old.
        FlowsAged = 7, "Flows aged", since 1;
        /// Flow pairs that gave way to others in a table that fills.
        FlowsEvicted = 8, "Flows evicted", since 2;
        /// Clients that were put down for a member, and were not in the table of clients before.
        AffinityLearned = 9, "Affinity learned", since 3;
        /// Clients that gave way to others in that table before their time was out.
        AffinityEvicted = 10, "Affinity evicted", since 3;
    }
}

codes! {
    /// Why a packet went to the firmware (`trap reason` in its metadata).
    TrapReason {
        /// ARP from a pod.
        Arp = 1;
        /// Reject next hop.
        Reject = 2;
    }
}
