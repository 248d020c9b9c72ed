//! Why the card dropped a packet, and the counters that are not drops.

macro_rules! reasons {
    ($(#[doc = $edoc:literal])+ $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $code:literal, $print:literal; )* }) => {
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
        /// Frame malformed: too short, bad version or header length, lengths that contradict each other, outer IP options.
        InvalidPacket = 0, "Invalid Packets";
        /// Source vif not configured, or outgoing vif not valid.
        InvalidIf = 1, "Invalid IF";
        /// Not IPv4 (nor ARP) where IPv4 is needed.
        InvalidProtocol = 2, "Invalid Protocol";
        /// IPv4 header checksum wrong.
        Checksum = 3, "Checksum errors";
        /// Label unknown, out of range or not bottom of stack.
        InvalidLabel = 4, "Invalid Label";
        /// TTL (IP from a vif, MPLS from the fabric) ran out.
        TtlExceeded = 5, "TTL Exceeded";
        /// Source address is not the vif's.
        InvalidSource = 6, "Invalid Source";
        /// No route, a Discard next hop, a group without live members, or a multicast destination.
        Discard = 7, "Discards";
        /// Next hop not valid, or a composite inside a composite.
        InvalidNextHop = 8, "Invalid NH";
        /// Destination is neither the pod's address nor mapped to it (Contrail's NoFipPortMap).
        NoFipPortMap = 9, "Flow Action Drop";
        /// A fragment that would need translation.
        Fragments = 10, "Fragment errors";
        /// A packet from the fabric would go back to the fabric.
        PacketLoop = 11, "Packet Loop";
        /// The firmware's queue of exception packets was full.
        TrapQueueFull = 12, "Trap Queue Full";
        /// Frame longer than the card takes.
        Oversize = 13, "IF RX Discard";
        /// Data path disabled.
        Disabled = 14, "IF Drop";
    }
}

reasons! {
    /// Counters that are not drops, the index of the `CardStats` table.
    CardCounter {
        /// Flow pairs inserted.
        FlowsLearned = 0, "Flows learned";
        /// Flow entries in use now.
        FlowsInUse = 1, "Flows in use";
        /// A pair was not inserted because every candidate slot was taken; the packet was forwarded all the same.
        FlowTableFull = 2, "Flow Table Full";
        /// A pair was not inserted because the queue of insertions was full; a later packet tries again.
        LearnDeferred = 3, "Learn deferred";
        /// Flow entries rewritten because their member or mapping was gone.
        FlowsRepinned = 4, "Flows re-pinned";
        /// Packets handed to the firmware.
        Trapped = 5, "Original Packet Trapped";
        /// Frames sent by the firmware.
        FirmwareTx = 6, "Firmware TX";
    }
}

/// Why a packet went to the firmware (`trap reason` in its metadata).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TrapReason {
    /// ARP from a pod.
    Arp = 1,
    /// Reject next hop.
    Reject = 2,
}
