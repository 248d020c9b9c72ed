//! Rules that a model can be told to break.
//!
//! A test that does not fail when the rule is broken that it is about says nothing. `tests/faults.rs` runs the tests' stories with each
//! of these, and expects that one of them fails.

/// A rule, by what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Section 2: a frame of the node to the gateway passes to the fabric.
    NodePasses,
    /// Section 2: any frame of the node is routed that is IPv4.
    NodeIsAlwaysRouted,
    /// Section 5: an entry of no use that sends elsewhere does not keep its packets from the egress way.
    UnusableGoesOut,
    /// Section 5: such an entry stays.
    UnusableStays,
    /// Section 5: a packet of no known flow may come from anywhere.
    NoSourceCheck,
    /// Section 5: the source's route is looked up for the packet's own source, of an ICMP error as well.
    ErrorsOwnSource,
    /// Section 5: Loose takes any tunnel.
    LooseTakesUnknown,
    /// Section 5: Off takes addresses that are on this node only.
    OffTakesOwn,
    /// Section 5: Off refuses a source without a route.
    OffNeedsRoute,
    /// Section 5: a packet on another tunnel moves its flow whatever the source check says.
    MovesUnchecked,
    /// Section 6: keys of services are not asked for.
    NoServiceKeys,
    /// Section 6: the port does not count for a floating IP that has a route.
    AddressLeadsOn,
    /// Section 6: an address of a service without the port is dropped where it is to be refused.
    RefusalDrops,
    /// Section 6: an address of a service without the port is refused where it is to be dropped.
    DropRefuses,
    /// Section 6: a service's label leads to all members, those of other nodes included.
    LabelLeadsToAll,
    /// Section 6: a key without members here is not missed.
    LabelFallsThrough,
    /// Section 6: a translated reply is routed in its vif's VRF.
    NoVrfTranslation,
    /// Section 6: a translated reply asks for keys of services.
    RepliesAskForServices,
    /// Section 6: a fragment goes where the address leads.
    FragmentsFollowAddress,
    /// Section 6: the egress way is taken at equal length.
    EgressWinsAtEqual,
    /// Section 6: the egress way is taken only if there is no other route.
    EgressOnlyWithoutRoute,
    /// Section 6: lengths are compared as the tables have them.
    LengthsOfTables,
    /// Section 6: replies of known flows go the egress way.
    RepliesGoOut,
    /// Section 7: a member's mapping is looked for by the vif's keys.
    MemberHasNoMapping,
    /// Section 7: floating IPs without port map are not looked for.
    NoPlainFips,
    /// Section 7: keys of port maps do not come first.
    PlainFipFirst,
    /// Section 7: what goes the egress way keeps its source.
    EgressKeepsSource,
    /// Section 7: a packet from a vif is translated by the keys of labels.
    VifsUseKeys,
    /// Section 7: Receive does not translate.
    ReceiveIsPlain,
    /// Section 7: a mark is a mapping.
    MarksTranslate,
    /// Section 7: an ICMP error without its flow is translated or delivered.
    ErrorsPass,
    /// Section 7: a flow keeps a mapping that the packet would not find any more.
    FlowsKeepMapping,
    /// Section 7: a client that comes back to itself gets the member's address in its replies.
    ClientIsMember,
    /// Section 7: any source is translated.
    AnySourceGoesOut,
    /// Section 7: the node gets back what it sent.
    NodeLoops,
    /// Section 7: a mapping that is not valid is as good as none.
    BadMappingIgnored,
    /// Section 9: protocols without ports make no flows.
    NoFlowsWithoutPorts,
    /// Section 9: an egress flow's replies are routed like others.
    EgressForgetsVrf,
    /// Section 9: an egress flow whose member is gone loses its mapping.
    EgressForgetsMapping,
    /// Section 9.2: a move searches the group of the address.
    MovesByAddress,
    /// Section 9.2: by a floating IP's label the far end is asked for among services, too.
    LabelAsksForFarEnd,
    /// Section 9.2: an established connection follows another member.
    EstablishedMoves,
    /// Section 9.2: an established connection stays with its gateway.
    GatewayPinned,
    /// Section 9.2: only a tunnel of the route moves a flow.
    MovesByRouteOnly,
    /// Section 9.4: a connection that one end alone speaks on is established.
    EstablishedAlone,
    /// Section 9.4: of a pair only the forward entry is looked at.
    OneDirectionIsIdle,
    /// Section 9.4: what has a port of its own has it in every state.
    PortsInEveryState,
    /// Section 9.4: a half-closed connection stays like any other.
    HalfClosedStays,
    /// Section 9.4: the first look at a pair knows the generations of its entries.
    SeesAll,
    /// Section 9.5: plain pairs are kept as their state is.
    PlainPairsStay,
    /// Section 9.5: all pairs are taken for plain.
    AllPairsArePlain,
    /// Section 9.5: any pressure counts as the highest.
    PressureIsHighest,
    /// Section 9.1: plain pairs are made under pressure as well.
    PlainPairsPressOn,
    /// Section 9.6: a tunnel has no share.
    TunnelsHaveNoShare,
    /// Section 9.6: what comes from the fabric is not in the share of its vif.
    ReceiversHaveNoShare,
    /// Section 9.6: a share is over its limit with more pairs than that only.
    OneMoreThanPairs,
    /// Section 9.6: a bucket lets a pair pass with less than 1 in it.
    PartOfOneIsEnough,
    /// Section 9.6: more than `burst` comes into a bucket.
    BucketsOverflow,
    /// Section 9.6: a bucket stays as it is when its entry is written.
    WritesFillNothing,
    /// Section 9.6: a packet counts as refused in one share only.
    OneShareRefuses,
    /// Section 9.6: a pair that moves is in the share of its new tunnel.
    MovesTakeTheirShare,
    /// Section 9.6: pairs that take the place of others are refused, too.
    SharesRefuseWhatTakesAPlace,
    /// Section 9.1: what is forwarded as it is is dropped for a share.
    SharesDropPlain,
    /// Section 6: nobody is kept at a member.
    ClientsAreForgotten,
    /// Section 6: clients of a member that drains are sent to it.
    DrainingKeepsClients,
    /// Section 6: a client is sent to whoever has its member's slot.
    ClientsOfAnyGeneration,
    /// Section 6: a client whose member is gone is sent by its hash again.
    LostClientsAreHashed,
    /// Section 6: a connection whose member is gone goes where its client was sent last.
    PinLostAsksForClient,
    /// Section 6: a client whose time is over is sent where its address leads, at all times.
    ForgottenReturn,
    /// Section 6: what comes by a floating IP's label has affinity.
    LabelHasAffinity,
    /// Section 6: a number alone is affinity.
    GroupsNeedNoTimeout,
    /// Section 9.2: a connection that is rewritten and keeps its member renews its client.
    PinnedIsChosen,
    /// Section 9.2: a client is kept though its pair was not made.
    AnyRequestKeepsClients,
    /// Section 9.7: an entry that is there stays as it is.
    ClientsAreNotRenewed,
    /// Section 9.7: an entry that is renewed keeps its member.
    MembersAreKept,
    /// Section 9.7: nobody's time runs out.
    ClientsStay,
    /// Section 9.7: at its time-out an entry has expired.
    ClientsGoEarly,
    /// Section 9.7: another time-out of the group holds at once.
    TimeoutOfGroup,
    /// Section 9.7: the address alone is the key.
    NumbersAreOne,
    /// Section 9.7: what has expired gives way like any other.
    ExpiredTakeRoom,
    /// Section 9.7: the younger of two gives way.
    YoungestGivesWay,
    /// Section 9.8: whatever gives way is told as old.
    EvictedIsAged,
    /// Section 9.8: a pair that makes way for another goes without a word.
    ReplacedIsSilent,
    /// Section 9.8: what becomes of replies is told with their own key.
    KeysAsAsked,
    /// Section 9.8: of what a pair counted one direction is told.
    OneDirectionIsTold,
    /// Section 9.8: a pair that is rewritten in its place is told as made.
    RepinnedIsMade,
    /// Section 9.8: a pair that moves does so without a word.
    MovesAreSilent,
    /// Section 9.8: what a vif's policy keeps away is told as refused.
    LearnOffIsTold,
    /// Section 9.8: pressure is told when it rises.
    PressureOnlyRises,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::NodePasses,
        Self::NodeIsAlwaysRouted,
        Self::UnusableGoesOut,
        Self::UnusableStays,
        Self::NoSourceCheck,
        Self::ErrorsOwnSource,
        Self::LooseTakesUnknown,
        Self::OffTakesOwn,
        Self::OffNeedsRoute,
        Self::MovesUnchecked,
        Self::NoServiceKeys,
        Self::AddressLeadsOn,
        Self::RefusalDrops,
        Self::DropRefuses,
        Self::LabelLeadsToAll,
        Self::LabelFallsThrough,
        Self::NoVrfTranslation,
        Self::RepliesAskForServices,
        Self::FragmentsFollowAddress,
        Self::EgressWinsAtEqual,
        Self::EgressOnlyWithoutRoute,
        Self::LengthsOfTables,
        Self::RepliesGoOut,
        Self::MemberHasNoMapping,
        Self::NoPlainFips,
        Self::PlainFipFirst,
        Self::EgressKeepsSource,
        Self::VifsUseKeys,
        Self::ReceiveIsPlain,
        Self::MarksTranslate,
        Self::ErrorsPass,
        Self::FlowsKeepMapping,
        Self::ClientIsMember,
        Self::AnySourceGoesOut,
        Self::NodeLoops,
        Self::BadMappingIgnored,
        Self::NoFlowsWithoutPorts,
        Self::EgressForgetsVrf,
        Self::EgressForgetsMapping,
        Self::MovesByAddress,
        Self::LabelAsksForFarEnd,
        Self::EstablishedMoves,
        Self::GatewayPinned,
        Self::MovesByRouteOnly,
        Self::EstablishedAlone,
        Self::OneDirectionIsIdle,
        Self::PortsInEveryState,
        Self::HalfClosedStays,
        Self::SeesAll,
        Self::PlainPairsStay,
        Self::AllPairsArePlain,
        Self::PressureIsHighest,
        Self::PlainPairsPressOn,
        Self::TunnelsHaveNoShare,
        Self::ReceiversHaveNoShare,
        Self::OneMoreThanPairs,
        Self::PartOfOneIsEnough,
        Self::BucketsOverflow,
        Self::WritesFillNothing,
        Self::OneShareRefuses,
        Self::MovesTakeTheirShare,
        Self::SharesRefuseWhatTakesAPlace,
        Self::SharesDropPlain,
        Self::ClientsAreForgotten,
        Self::DrainingKeepsClients,
        Self::ClientsOfAnyGeneration,
        Self::LostClientsAreHashed,
        Self::PinLostAsksForClient,
        Self::ForgottenReturn,
        Self::LabelHasAffinity,
        Self::GroupsNeedNoTimeout,
        Self::PinnedIsChosen,
        Self::AnyRequestKeepsClients,
        Self::ClientsAreNotRenewed,
        Self::MembersAreKept,
        Self::ClientsStay,
        Self::ClientsGoEarly,
        Self::TimeoutOfGroup,
        Self::NumbersAreOne,
        Self::ExpiredTakeRoom,
        Self::YoungestGivesWay,
        Self::EvictedIsAged,
        Self::ReplacedIsSilent,
        Self::KeysAsAsked,
        Self::OneDirectionIsTold,
        Self::RepinnedIsMade,
        Self::MovesAreSilent,
        Self::LearnOffIsTold,
        Self::PressureOnlyRises,
    ];
}
