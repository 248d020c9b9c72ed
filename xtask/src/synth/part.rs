//! The device that shares are given of: a U55C, which is an XCU55C-FSVH2892 (AMD UG1469), a VU47P as AMD sells it on this card.

/// Resources of the device, as they are called in figures.
pub(crate) const PART: [(&str, u32); 6] = [
    ("lut", 1_303_680),
    ("ff", 2_607_360),
    ("lutram", 600_960),
    ("ramb36", 2_016),
    ("uram", 960),
    ("dsp", 9_024),
];

/// How the device is called in reports.
pub(crate) const NAME: &str = "a U55C";

/// How much of the device an amount of a resource is, in percent.
pub(crate) fn share(resource: &str, amount: f64) -> Option<f64> {
    let (_, all) = PART.iter().find(|(name, _)| *name == resource)?;
    Some(100.0 * amount / f64::from(*all))
}
