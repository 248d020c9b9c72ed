use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn base() -> tempfile::TempDir {
    // Its mode is 0700.
    tempfile::tempdir().unwrap()
}

fn lab(base: &Path, name: &str) -> LabPaths {
    LabPaths::below(Base::at(base.to_owned()), name).unwrap()
}

#[test]
fn a_name_leads_nowhere_else() {
    for name in ["", ".", "..", "../x", "/etc", "a/b", "a b", "Ä", "-n\n", ".lock"] {
        let error = LabPaths::new(name).unwrap_err();
        assert!(matches!(error, PathsError::Name(_)), "`{name}`: {error}");
    }
    assert!(LabPaths::new("chapter-2").is_ok());
    let long = LabPaths::below(Base::at("/run/user/1000/penstock-lab".into()), &"x".repeat(63))
        .unwrap_err();
    assert!(long.to_string().contains("too long"), "{long}");
}

#[test]
fn a_folder_comes_and_goes() {
    let base = base();
    let lab = lab(base.path(), "chapter");
    assert!(!lab.alive().unwrap());
    let lock = lab.take().unwrap().expect("nobody has it");
    assert!(lab.alive().unwrap() && lab.take().unwrap().is_none());
    assert_eq!(list_below(&Base::at(base.path().to_owned())).unwrap(), ["chapter"]);
    fs::write(lab.node("x"), "").unwrap();
    drop(lock);
    assert!(!lab.alive().unwrap(), "its supervisor is dead");
    assert!(!lab.dir().exists(), "so that its remains are removed");
    let lock = lab.take().unwrap().expect("its name is free");
    lab.remove().unwrap();
    drop(lock);
    assert!(!lab.dir().exists());
    assert_eq!(list_below(&Base::at(base.path().to_owned())).unwrap(), [""; 0]);
}

/// What looks like a lab's remains, but for the mark.
#[test]
fn a_folder_without_the_mark_is_not_touched() {
    let base = base();
    let lab = lab(base.path(), "precious");
    fs::create_dir_all(lab.dir().join("manifests")).unwrap();
    for file in ["lock", "control.sock", "manifests/mine.yaml"] {
        fs::write(lab.dir().join(file), "").unwrap();
    }
    assert!(matches!(lab.alive(), Err(PathsError::Foreign(_))));
    assert!(matches!(lab.take(), Err(PathsError::Foreign(_))));
    assert!(matches!(lab.remove(), Err(PathsError::Foreign(_))));
    assert!(lab.dir().join("manifests/mine.yaml").exists());
    assert_eq!(list_below(&Base::at(base.path().to_owned())).unwrap(), [""; 0]);
    // Nor by a link to a folder that has it.
    let real = LabPaths::below(Base::at(base.path().to_owned()), "real").unwrap();
    drop(real.take().unwrap());
    symlink(real.dir(), base.path().join("link")).unwrap();
    let link = LabPaths::below(Base::at(base.path().to_owned()), "link").unwrap();
    assert!(matches!(link.alive(), Err(PathsError::Foreign(_))));
    assert!(real.dir().exists());
}

#[test]
fn links_in_a_folder_are_removed_and_not_followed() {
    let (base, other) = (base(), base());
    let file = other.path().join("file");
    fs::write(&file, "").unwrap();
    let lab = lab(base.path(), "chapter");
    let _lock = lab.take().unwrap().unwrap();
    symlink(other.path(), lab.dir().join("out")).unwrap();
    lab.remove().unwrap();
    assert!(file.exists() && !lab.dir().exists());
}

#[test]
fn a_base_that_others_can_write_to_or_that_is_a_link_is_refused() {
    let base = base();
    let own = base.path().join("labs");
    let lab = lab(&own, "chapter");
    drop(lab.take().unwrap());
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    for result in [
        lab.take().map(|_| ()),
        lab.alive().map(|_| ()),
        lab.remove(),
        list_below(&Base::at(own.clone())).map(|_| ()),
    ] {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("others may write"), "{error}");
    }
    assert!(lab.dir().exists());
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let link = base.path().join("link");
    symlink(&own, &link).unwrap();
    let error = LabPaths::below(Base::at(link), "chapter").unwrap().alive().unwrap_err();
    assert!(error.to_string().contains("not a folder"), "{error}");
}

/// Only root can make a folder of another user's.
#[test]
fn a_base_of_another_user_is_refused() {
    let base = base();
    let own = base.path().join("labs");
    fs::create_dir(&own).unwrap();
    if std::os::unix::fs::chown(&own, Some(65_534), None).is_err() {
        eprintln!("not root; not checked");
        return;
    }
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let error = lab(&own, "chapter").take().unwrap_err();
    assert!(error.to_string().contains("belongs to user 65534"), "{error}");
    assert!(fs::read_dir(&own).unwrap().next().is_none());
}

#[test]
fn whoever_waits_for_a_lab_to_come_up_waits_to_the_end() {
    let base = base();
    let lab = lab(base.path(), "chapter");
    lab.wait_announced(Duration::ZERO).unwrap();
    let announced = lab.announce().unwrap().expect("nobody else brings it up");
    assert_eq!(list_below(&lab.base).unwrap(), ["chapter"]);
    assert!(!lab.alive().unwrap() && lab.alive_or_coming_up().unwrap());
    assert!(lab.announce().unwrap().is_none());
    let error = lab.wait_announced(Duration::ZERO).unwrap_err();
    assert!(matches!(error, PathsError::ComingUp(..)), "{error}");
    drop(announced);
    lab.wait_announced(Duration::ZERO).unwrap();
    assert!(!lab.alive_or_coming_up().unwrap());
}
