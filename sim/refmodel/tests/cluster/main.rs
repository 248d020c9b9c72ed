//! A cluster's data path, rule by rule: services by port, sources by tunnel, floating IPs without port map, the node as an end point.
//!
//! Each story is a test. `faults` tells all of them to models that break a rule, and expects that one of them notices.

#[path = "../world/mod.rs"]
mod world;

/// Declares stories.
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const ALL: &[(&str, fn(Option<Fault>))] = &[$((stringify!($name), $name)),+];
        mod told {
            $(#[test]
            fn $name() {
                super::$name(None);
            })+
        }
    };
}

mod ageing;
mod clients;
mod events;
mod eviction;
mod faults;
mod lab;
mod node;
mod plain;
mod services;
mod shares;
mod sources;
