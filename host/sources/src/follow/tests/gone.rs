//! What is gone, and when that is believed.

use super::*;

#[test]
fn an_emptied_file_keeps_what_it_had() {
    let both = service("a", 1) + "---\n" + &service("b", 2);
    for emptied in ["", "# nothing\n", "---\n---\nnull\n", "apiVersion: v1\nkind: List\nitems:\n"] {
        let mut bench = Bench::new(&[("ab.yaml", &both), ("c.yaml", &service("c", 3))]);
        bench.settle();
        bench.write("ab.yaml", emptied);
        bench.write("c.yaml", service("c2", 3));
        bench.settle();
        bench.serves(&["a", "b", "c2"]);
        assert!(bench.errors().contains("ab.yaml: holds no object, and held 2"), "{emptied:?}");
        bench.write("ab.yaml", service("a", 1));
        bench.settle();
        bench.serves(&["a", "c2"]);
        assert_eq!(bench.errors(), "");
        bench.remove("ab.yaml");
        bench.settle();
        bench.serves(&["c2"]);
    }
}

#[test]
fn an_empty_list_in_place_of_objects_is_believed_when_a_second_read_confirms_it() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 2))]);
    bench.settle();
    // Few as they are: a program that could not reach what it copies from writes the same.
    bench.write("a.yaml", NO_OBJECTS);
    bench.settle();
    bench.serves(&["a", "b"]);
    assert!(bench.errors().contains("1 of 2 objects are gone"), "{}", bench.errors());
    bench.write("a.yaml", service("a", 1));
    bench.settle();
    assert_eq!(bench.errors(), "");
    bench.write("a.yaml", NO_OBJECTS);
    bench.settle();
    bench.serves(&["a", "b"]);
    bench.pass(crate::manifests::CONFIRM);
    bench.serves(&["b"]);
    assert_eq!(bench.errors(), "");
}

#[test]
fn a_directory_that_goes_away_or_is_replaced_by_an_empty_one_changes_nothing() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    bench.settle();
    let away = bench.dir.path().join("away");
    fs::rename(bench.directory(), &away).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    assert!(bench.errors().contains("cannot be read"), "{}", bench.errors());
    // The mount point below a mount that is gone.
    fs::create_dir(bench.directory()).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    assert!(bench.errors().contains("another directory than before, and empty"));
    bench.write("b.yaml", service("b", 2));
    bench.settle();
    bench.serves(&["b"]);
    assert_eq!(bench.errors(), "");
    bench.remove("b.yaml");
    bench.settle();
    bench.serves(&[]);
}

#[test]
fn many_objects_go_when_a_second_read_confirms_it() {
    let all: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut bench = Bench::new(&[("s.yaml", &services("s", 8))]);
    bench.settle();
    // A file that was cut, and is as good as any.
    bench.write("s.yaml", services("s", 2));
    bench.settle();
    bench.serves(&all);
    assert!(bench.errors().contains("6 of 8 objects are gone"), "{}", bench.errors());
    // What else changes does not wait for that.
    bench.write("t.yaml", service("t", 9));
    bench.settle();
    assert_eq!(bench.served().unwrap().len(), 9, "{}", bench.errors());
    bench.remove("t.yaml");
    bench.write("s.yaml", services("s", 8));
    bench.settle();
    bench.serves(&all);
    assert_eq!(bench.errors(), "");
    // The time counts anew.
    bench.remove("s.yaml");
    bench.settle();
    bench.serves(&all);
    bench.pass(crate::manifests::CONFIRM);
    bench.serves(&[]);
    assert_eq!(bench.errors(), "");
}

#[test]
fn few_objects_and_a_small_share_go_at_once() {
    let mut bench = Bench::new(&[("s.yaml", &services("s", 5)), ("t.yaml", &services("t", 8))]);
    bench.settle();
    bench.remove("s.yaml");
    bench.settle();
    assert_eq!(bench.served().unwrap().len(), 8, "5 of 13");
    bench.write("t.yaml", services("t", 3));
    bench.settle();
    assert_eq!(bench.served().unwrap().len(), 3, "5 of 8, but a handful");
}

#[test]
fn constant_change_does_not_put_off_a_removal_for_ever() {
    let mut bench = Bench::new(&[("s.yaml", &services("s", 8))]);
    bench.settle();
    bench.remove("s.yaml");
    let start = bench.now;
    for i in 1.. {
        bench.write("other.yaml", service("other", i));
        bench.settle();
        if bench.served() == Some(vec!["other".to_owned()]) {
            break;
        }
        assert!(bench.now < start + 4 * crate::manifests::CONFIRM, "{}", bench.errors());
    }
}

#[test]
fn a_removal_is_not_confirmed_by_what_was_gone_before_the_directory_was() {
    let all = services("s", 8);
    let mut bench = Bench::new(&[("s.yaml", &all)]);
    let away = bench.dir.path().join("away");
    for replaced in [false, true] {
        bench.settle();
        bench.write("s.yaml", services("s", 2));
        bench.settle();
        assert!(bench.errors().contains("6 of 8 objects are gone"), "{}", bench.errors());
        fs::rename(bench.directory(), &away).unwrap();
        if replaced {
            fs::create_dir(bench.directory()).unwrap();
        }
        bench.pass(crate::manifests::CONFIRM);
        assert_eq!(bench.served().unwrap().len(), 8);
        if replaced {
            fs::remove_dir(bench.directory()).unwrap();
        }
        fs::rename(&away, bench.directory()).unwrap();
        bench.settle();
        assert_eq!(bench.served().unwrap().len(), 8, "the time counts anew");
        assert!(bench.errors().contains("6 of 8 objects are gone"), "{}", bench.errors());
        bench.write("s.yaml", &all);
        bench.settle();
        assert_eq!(bench.errors(), "");
    }
}

#[test]
fn a_file_that_is_removed_and_left_empty_keeps_what_it_had() {
    let mut bench = Bench::new(&[("s.yaml", &services("s", 8))]);
    bench.settle();
    bench.remove("s.yaml");
    bench.settle();
    assert!(bench.errors().contains("8 of 8 objects are gone"), "{}", bench.errors());
    bench.write("s.yaml", "");
    bench.settle();
    bench.pass(2 * crate::manifests::CONFIRM);
    assert_eq!(bench.served().unwrap().len(), 8, "{}", bench.errors());
    assert!(bench.errors().contains("holds no object, and held 8"), "{}", bench.errors());
}
