//! The list of tables, and all that is generated from it.

use std::ops::RangeBounds;

use penstock_abi::table::{
    Affinity, Counter, DefaultRoute, EcmpSlot, FieldOverflow, FipKey, FipMap, Flow, FlowShare,
    FlowShareStats, FlowStats, HostRoute, Ilm, NextHop, PlainFip, Prefix, PrefixLength, ServiceKey,
    TableEntry, TableId, TunnelSource, Vif, VifStats, Vrf, Words,
};

use crate::difference::{self, Difference};
use crate::{Shape, Table};

/// An entry type that exactly one table holds. (Counters are held by two, which have methods of their own in [`Tables`].)
pub trait Stored: TableEntry + Copy + Default + PartialEq + Into<Entry> + sealed::Sealed {
    /// The table.
    const TABLE: TableId;
    /// What `tables` hold of it.
    fn table_of(tables: &Tables) -> &Table<Self>;
    /// The same, to be changed.
    #[doc(hidden)]
    fn table_of_mut(tables: &mut Tables) -> &mut Table<Self>;
    /// The value of an entry, if it is of this type.
    fn from_entry(entry: Entry) -> Option<Self>;
}

mod sealed {
    /// The tables of a card are known.
    pub trait Sealed {}
}

/// `Variant(Type) in field`: first those that alone hold their type.
macro_rules! tables {
    (alone { $($variant:ident($entry:ident) in $field:ident,)+ } shared { $($more:ident($type:ident) in $place:ident,)+ }) => {
        $(
            impl sealed::Sealed for $entry {}
            impl Stored for $entry {
                const TABLE: TableId = TableId::$variant;
                fn table_of(tables: &Tables) -> &Table<Self> {
                    &tables.$field
                }
                fn table_of_mut(tables: &mut Tables) -> &mut Table<Self> {
                    &mut tables.$field
                }
                fn from_entry(entry: Entry) -> Option<Self> {
                    match entry {
                        Entry::$variant(value) => Some(value),
                        _ => None,
                    }
                }
            }
            impl From<$entry> for Entry {
                fn from(value: $entry) -> Self {
                    Self::$variant(value)
                }
            }
        )+
        tables! { @all $($variant($entry) in $field,)+ $($more($type) in $place,)+ }
    };
    (@all $($variant:ident($entry:ident) in $field:ident,)+) => {
        /// A value of any table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Entry {
            $(
                #[doc = concat!("Of the table `", stringify!($variant), "`.")]
                $variant($entry),
            )+
        }

        impl Entry {
            /// The table.
            #[must_use]
            pub fn table(&self) -> TableId {
                match self { $(Self::$variant(_) => TableId::$variant,)+ }
            }

            /// The entry's words; bits of a value beyond its field are lost (see [`Entry::check`]).
            #[must_use]
            pub fn pack(&self) -> Words {
                match self { $(Self::$variant(value) => value.pack(),)+ }
            }

            /// The entry of `table` with these words; bits beyond its fields are lost, as they are on the card.
            #[must_use]
            pub fn unpack(table: TableId, words: &Words) -> Self {
                match table { $(TableId::$variant => Self::$variant($entry::unpack(words)),)+ }
            }

            /// Whether every value fits its field.
            ///
            /// # Errors
            /// The first field that overflows; whoever made the entry is to blame.
            pub fn check(&self) -> Result<(), FieldOverflow> {
                match self { $(Self::$variant(value) => value.check(),)+ }
            }

            /// Whether it is all zeros: a write of it clears, and where nothing was written it is read.
            #[must_use]
            pub fn is_clear(&self) -> bool {
                match self { $(Self::$variant(value) => value.is_clear(),)+ }
            }
        }

        /// What tables hold, by index. An entry of all zeros is absent.
        ///
        /// The default is of the [`Shape`] by default. Indices are not held against it: a card refuses those that it does not have.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Tables {
            shape: Shape,
            $($field: Table<$entry>,)+
        }

        impl Tables {
            /// Empty tables of a card of this shape.
            #[must_use]
            pub fn new(shape: Shape) -> Self {
                Self { shape, ..Self::default() }
            }

            /// How large they are.
            #[must_use]
            pub fn shape(&self) -> Shape {
                self.shape
            }

            /// Sets an entry; one of all zeros removes what is there.
            pub fn set(&mut self, index: u32, entry: Entry) {
                match entry { $(Entry::$variant(value) => self.$field.put(index, value),)+ }
            }

            /// An entry, if it is there.
            #[must_use]
            pub fn entry(&self, table: TableId, index: u32) -> Option<Entry> {
                match table { $(TableId::$variant => self.$field.get(index).map(|&value| Entry::$variant(value)),)+ }
            }

            /// Entries of a table in order of index.
            pub fn entries<'a>(
                &'a self,
                table: TableId,
                range: impl RangeBounds<u32> + 'a,
            ) -> Box<dyn Iterator<Item = (u32, Entry)> + 'a> {
                match table {
                    $(TableId::$variant => {
                        Box::new(self.$field.range(range).map(|(index, &value)| (index, Entry::$variant(value))))
                    })+
                }
            }

            /// How many entries a table has.
            #[must_use]
            pub fn len(&self, table: TableId) -> usize {
                match table { $(TableId::$variant => self.$field.len(),)+ }
            }

            /// Where `other` is not the same, by table, and within it in order of index. Copies of one another are compared in proportion
            /// to what was changed in them.
            #[must_use]
            pub fn difference(&self, other: &Self) -> Vec<Difference> {
                let mut found = Vec::new();
                $(difference::add(&mut found, &self.$field, &other.$field, Entry::$variant);)+
                found
            }

            /// Drops by reason.
            #[must_use]
            pub fn drop_stats(&self) -> &Table<Counter> {
                &self.drop_stats
            }

            /// Counters that are not drops.
            #[must_use]
            pub fn card_stats(&self) -> &Table<Counter> {
                &self.card_stats
            }
        }
    };
}

tables! {
    alone {
        Vif(Vif) in vifs,
        Ilm(Ilm) in ilm,
        NextHop(NextHop) in next_hops,
        Ecmp(EcmpSlot) in ecmp,
        HostRoute(HostRoute) in host_routes,
        Prefix(Prefix) in prefixes,
        FipKey(FipKey) in fip_keys,
        FipMap(FipMap) in fip_maps,
        Flow(Flow) in flows,
        FlowStats(FlowStats) in flow_stats,
        VifStats(VifStats) in vif_stats,
        DefaultRoute(DefaultRoute) in default_routes,
        PrefixLength(PrefixLength) in prefix_lengths,
        Vrf(Vrf) in vrfs,
        ServiceKey(ServiceKey) in service_keys,
        TunnelSource(TunnelSource) in tunnel_sources,
        PlainFip(PlainFip) in plain_fips,
        FlowShare(FlowShare) in flow_shares,
        FlowShareStats(FlowShareStats) in flow_share_stats,
        Affinity(Affinity) in affinities,
    }
    shared {
        DropStats(Counter) in drop_stats,
        CardStats(Counter) in card_stats,
    }
}

impl Entry {
    /// The value, if it is of this type.
    #[must_use]
    pub fn get<E: Stored>(&self) -> Option<E> {
        E::from_entry(*self)
    }

    /// The entry of all zeros, by which one of `table` is cleared.
    #[must_use]
    pub fn clear(table: TableId) -> Self {
        Self::unpack(table, &Words::default())
    }
}
