//! What the driver makes of functions that are not quite a card, over a real socket: each has an error of its own.
#![allow(clippy::unwrap_used)]

use penstock_abi::regs;
use penstock_card::service::{self, Stop};
use penstock_card::{CardOptions, CardSim, Identity, Server};
use penstock_device::{Card, DeviceError, Region, open};

/// Serves a card that shows itself as `identity` while `check` runs.
fn serving(identity: Identity, check: impl FnOnce(&str)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("card.sock");
    let stop = Stop::new().unwrap();
    let switch = stop.try_clone().unwrap();
    let mut server = Server::bind_as(&path, identity).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut card = CardSim::new(&CardOptions::default()).unwrap();
            card.set_bus_master(false);
            service::run(&mut card, &mut server, &stop, false).unwrap();
        });
        // A panic must not leave the thread running.
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&format!("vfio-user:{}", path.display()));
        }));
        switch.stop();
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    });
}

fn refused(identity: Identity) -> DeviceError {
    let mut error = None;
    serving(identity, |spec| {
        let mut transport = open(spec).unwrap();
        // Opening alone enables nothing in a function that may not be a card.
        let mut command = [0xff; 2];
        transport.read_region(Region::Config, 4, &mut command).unwrap();
        assert_eq!(command, [0, 0]);
        error = Card::attach(transport).err();
    });
    error.expect("it was taken for a card")
}

#[test]
fn a_card_is_taken() {
    serving(Identity::default(), |spec| {
        let mut card = Card::attach(open(spec).unwrap()).unwrap();
        card.fence().unwrap();
    });
}

#[test]
fn another_vendor_or_device() {
    let error = refused(Identity { vendor: 0x10ee, ..Identity::default() });
    assert!(matches!(error, DeviceError::WrongVendor { vendor: 0x10ee, .. }), "{error}");
    assert_eq!(error.to_string(), "the PCI function is 10ee:5053, a card is 1e55:5053");
    let error = refused(Identity { device: 0x9038, ..Identity::default() });
    assert!(matches!(error, DeviceError::WrongVendor { device: 0x9038, .. }), "{error}");
}

#[test]
fn a_bar_too_small_for_the_registers() {
    let error = refused(Identity { bar0_bytes: regs::BAR0_BYTES / 2, ..Identity::default() });
    assert!(matches!(error, DeviceError::BarTooSmall { bytes: 32_768, .. }), "{error}");
}

#[test]
fn no_msix_or_too_few_vectors() {
    for msix_vectors in [0, 1] {
        let error = refused(Identity { msix_vectors, ..Identity::default() });
        assert!(
            matches!(error, DeviceError::MissingMsix { vectors, .. } if vectors == msix_vectors),
            "{error}"
        );
    }
}
