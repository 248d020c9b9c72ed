//! The planner: the mirror of a card with its indices, and the pass that brings them to a desired state.

use penstock_compile::Desired;
use penstock_tables::Tables;

use crate::Planned;
use crate::affinities::Affinities;
use crate::card::Card;
use crate::dirty::Dirty;
use crate::mappings::Mappings;
use crate::maps::Maps;
use crate::next_hops::NextHops;
use crate::pass::Pass;
use crate::plain::PlainFips;
use crate::prefixes::Prefixes;
use crate::routes;
use crate::routes::Routes;
use crate::sets::Sets;

/// Plans for one card. It knows what the card holds once what it planned is executed; if an operation is refused, it is thrown
/// away and a new one is made of what the card holds then.
#[derive(Debug)]
pub struct Planner {
    pub(crate) card: Card,
    pub(crate) next_hops: NextHops,
    pub(crate) routes: Routes,
    pub(crate) maps: Maps,
    pub(crate) mappings: Mappings,
    pub(crate) plain: PlainFips,
    pub(crate) sets: Sets,
    pub(crate) prefixes: Prefixes,
    pub(crate) affinities: Affinities,
    /// What the card was found with and nobody needs; gone with the first plan.
    pub(crate) strays: Strays,
    /// What was planned last.
    last: Option<Desired>,
    /// What was refused then, or not looked at.
    retry: Dirty,
}

/// What no look-up sees.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    pub(crate) routes: routes::Strays,
    pub(crate) maps: Vec<u32>,
    pub(crate) keys: Vec<u32>,
    pub(crate) plain: Vec<u32>,
    pub(crate) sources: Vec<u32>,
    pub(crate) prefixes: Vec<u32>,
}

impl Planner {
    /// Takes over a card that holds `tables`, whatever wrote them; their shape is the card's.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        let card = Card::new(tables);
        let (routes, stray_routes) = Routes::new(&card);
        let (maps, stray_maps) = Maps::new(&card);
        let (mappings, keys) = Mappings::new(&card);
        let (plain, stray_plain) = PlainFips::new(&card);
        let (sets, sources) = Sets::new(&card);
        let (prefixes, stray_prefixes) = Prefixes::new(&card);
        Self {
            next_hops: NextHops::new(&card),
            card,
            routes,
            maps,
            mappings,
            plain,
            sets,
            prefixes,
            affinities: Affinities::default(),
            strays: Strays {
                routes: stray_routes,
                maps: stray_maps,
                keys,
                plain: stray_plain,
                sources,
                prefixes: stray_prefixes,
            },
            last: None,
            retry: Dirty::default(),
        }
    }

    /// What the card holds once all plans so far are executed.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        self.card.tables()
    }

    /// Plans what brings the card to `desired`. Looks at what is not as in the last plan, and at what was refused then; the first
    /// time, at everything.
    pub fn plan(&mut self, desired: &Desired) -> Planned {
        let Some(last) = self.last.take() else {
            return self.audit(desired);
        };
        let mut dirty = Dirty::between(self, &last, desired);
        dirty.extend(std::mem::take(&mut self.retry));
        dirty.close(self, desired);
        self.bring(desired, &dirty)
    }

    /// The same, but looks at everything.
    pub fn audit(&mut self, desired: &Desired) -> Planned {
        let dirty = Dirty::everything(self, desired);
        self.bring(desired, &dirty)
    }

    fn bring(&mut self, desired: &Desired, dirty: &Dirty) -> Planned {
        let (planned, retry) = Pass::new(self, desired).run(dirty);
        self.retry = retry;
        self.last = Some(desired.clone());
        planned
    }
}
