//! Versions of the specification.

use std::fmt;
use std::str::FromStr;

/// Those that this plugin speaks, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CniVersion {
    /// 0.4.0: addresses name their family.
    V0_4_0,
    /// 1.0.0.
    V1_0_0,
    /// 1.1.0: GC and STATUS; interfaces name their MTU.
    V1_1_0,
}

impl CniVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// As text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The newest that is no newer than this one and among those that another plugin lists.
    #[must_use]
    pub fn shared_with<'a>(self, listed: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let listed = listed.into_iter().filter_map(|text| text.parse().ok());
        listed.filter(|version| *version <= self).max()
    }
}

impl fmt::Display for CniVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CniVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_plugin_is_spoken_to_in_a_version_that_it_lists() {
        let debian = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
        assert_eq!(CniVersion::V1_1_0.shared_with(debian), Some(CniVersion::V1_0_0));
        assert_eq!(CniVersion::V0_4_0.shared_with(debian), Some(CniVersion::V0_4_0));
        assert_eq!(CniVersion::V0_4_0.shared_with(["1.0.0", "1.1.0"]), None);
        assert_eq!(CniVersion::V1_1_0.shared_with(["0.3.1", "2.0.0"]), None);
    }
}
