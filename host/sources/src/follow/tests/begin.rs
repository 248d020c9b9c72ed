//! What may be the first to be in force: not what an accident leaves behind.

use super::*;

#[test]
fn nothing_is_in_force_while_the_directory_is_missing_at_the_start() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    let away = bench.dir.path().join("away");
    fs::rename(bench.directory(), &away).unwrap();
    bench.settle();
    assert_eq!(bench.served(), None);
    assert!(bench.errors().contains("make the directory, or mount"), "{}", bench.errors());
    fs::rename(&away, bench.directory()).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    assert_eq!(bench.errors(), "");
}

#[test]
fn nothing_is_in_force_while_no_file_could_be_read() {
    let mut bench = Bench::new(&[("a.yaml", "kind: ["), ("none.yaml", "")]);
    bench.settle();
    assert_eq!(bench.served(), None);
    bench.write("a.yaml", service("a", 1));
    bench.settle();
    bench.serves(&["a"]);
}

#[test]
fn nothing_is_in_force_at_the_start_while_there_is_no_object() {
    // A mount that is missing leaves its mount point, a full disk leaves the names of files.
    for empty in [&[][..], &[("a.yaml", "")], &[("a.yaml", "# later\n"), ("b.yaml", "---\n")]] {
        let mut bench = Bench::new(empty);
        bench.settle();
        assert_eq!(bench.served(), None, "{empty:?}");
        assert!(bench.errors().contains("m: gives no object"), "{}", bench.errors());
        assert!(bench.errors().contains("a file with an empty List"), "{}", bench.errors());
        for (name, _) in empty {
            let expected = format!("{name}: holds no object, nor an empty List");
            assert!(bench.errors().contains(&expected), "{}", bench.errors());
        }
        bench.write("a.yaml", service("a", 1));
        bench.settle();
        bench.serves(&["a"]);
        assert_eq!(bench.errors(), "");
        // What was in force once may go.
        bench.remove("a.yaml");
        bench.settle();
        bench.serves(&[]);
    }
}

#[test]
fn to_begin_with_no_objects_is_said_by_an_empty_list() {
    let mut bench = Bench::new(&[("none.yaml", NO_OBJECTS)]);
    bench.settle();
    bench.serves(&[]);
    assert_eq!(bench.errors(), "");
    assert_eq!(bench.notes(), [""; 0]);
    // It does not speak for a file that was emptied.
    let mut bench = Bench::new(&[("none.yaml", NO_OBJECTS), ("a.yaml", "")]);
    bench.settle();
    assert_eq!(bench.served(), None);
    assert!(bench.errors().contains("a.yaml: holds no object"), "{}", bench.errors());
    bench.remove("a.yaml");
    bench.settle();
    bench.serves(&[]);
}
