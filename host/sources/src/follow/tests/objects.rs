//! Objects that are wrong, or in two files: each harms only itself.

use penstock_model::{Object, ObjectName};

use super::*;

#[test]
fn a_faulty_file_holds_up_no_other() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("bad.yaml", "kind: [")]);
    bench.settle();
    bench.serves(&["a"]);
    assert!(bench.errors().contains("bad.yaml: refused: "), "{}", bench.errors());
    bench.write("bad.yaml", service("b", 2));
    bench.settle();
    bench.serves(&["a", "b"]);
    // What cannot be told may be what is missing; what is there is taken.
    bench.write("bad.yaml", service("b3", 3) + "---\nkind: ]\n");
    bench.write("a.yaml", service("a2", 1));
    bench.settle();
    bench.serves(&["a2", "b", "b3"]);
    assert!(bench.errors().contains("bad.yaml:6: "), "{}", bench.errors());
    assert!(bench.errors().contains("what it was before stays in force"), "{}", bench.errors());
    bench.write("bad.yaml", service("b3", 3));
    bench.settle();
    bench.serves(&["a2", "b3"]);
    assert_eq!(bench.errors(), "");
}

#[test]
fn a_faulty_object_stays_what_it_was() {
    let both = |a: &str| format!("{a}---\n{}", service("b", 2));
    let mut bench = Bench::new(&[("ab.yaml", &both(&service("a", 1)))]);
    bench.settle();
    bench.serves(&["a", "b"]);
    let address = |bench: &Bench, name: &str| {
        let id = ObjectId::LoadBalancer(ObjectName::new("shop", name));
        let Object::LoadBalancer(balancer) = &bench.fragment().objects[&id] else { panic!() };
        balancer.floating_ips[0].address.to_string()
    };
    // The other one of the same file is taken.
    let bad = service("a", 9).replace("port: 80", "port: eighty");
    let text = format!("{bad}---\n{}", service("b", 3));
    bench.write("ab.yaml", &text);
    bench.settle();
    assert_eq!(
        (address(&bench, "a").as_str(), address(&bench, "b").as_str()),
        ("172.20.0.1", "172.20.0.3")
    );
    let kept = "Service shop/a: ";
    assert!(
        bench.errors().starts_with(kept)
            && bench.errors().contains("ab.yaml:4: spec.ports[0].port")
    );
    assert!(bench.errors().ends_with("what it was before stays in force"), "{}", bench.errors());
    // For one that starts with it, there is nothing before.
    let mut other = Bench::new(&[("ab.yaml", &text)]);
    other.settle();
    other.serves(&["b"]);
    assert!(other.errors().starts_with("Service shop/a: refused: "), "{}", other.errors());
    // It does not come back by another reading, and goes when the file does not name it any more.
    bench.write("c.yaml", service("c", 4));
    bench.settle();
    bench.serves(&["a", "b", "c"]);
    bench.write("ab.yaml", service("b", 3));
    bench.settle();
    bench.serves(&["b", "c"]);
    assert_eq!(bench.errors(), "");
}

/// A lone `null`, as the templates of charts leave it behind, is nothing: neither a fault nor a reason to wait.
#[test]
fn a_document_of_nothing_is_nothing() {
    let mut bench = Bench::new(&[("web.yaml", &services("web", 2))]);
    bench.settle();
    bench.write("new.yaml", "---\nnull\n");
    bench.write("web.yaml", service("web0", 1));
    bench.settle();
    bench.serves(&["web0"]);
    assert_eq!(bench.errors(), "");
    let mut fresh = Bench::new(&[("web.yaml", &services("web", 2)), ("new.yaml", "---\nnull\n")]);
    fresh.settle();
    fresh.serves(&["web0", "web1"]);
}

#[test]
fn an_object_stays_with_the_file_that_had_it() {
    let mut bench = Bench::new(&[("b.yaml", &service("x", 1)), ("c.yaml", &service("y", 2))]);
    bench.settle();
    bench.serves(&["x", "y"]);
    // By name it comes first, but it is the later one. What else is in its file is taken.
    bench.write("a.yaml", service("x", 9) + "---\n" + &service("v", 7));
    bench.settle();
    bench.serves(&["v", "x", "y"]);
    let [a, b] = ["a.yaml", "b.yaml"].map(|name| bench.directory().join(name));
    let expected = format!(
        "Service shop/x: is also in {}; that one counts, and not the one in {}",
        b.display(),
        a.display()
    );
    assert_eq!((bench.errors().as_str(), bench.notes()), ("", vec![expected]));
    let address = |bench: &Bench| {
        let id = ObjectId::LoadBalancer(ObjectName::new("shop", "x"));
        let Object::LoadBalancer(balancer) = &bench.fragment().objects[&id] else { panic!() };
        balancer.floating_ips[0].address.to_string()
    };
    assert_eq!(address(&bench), "172.20.0.1");
    // Gone from the one, it is the other's.
    bench.write("b.yaml", service("z", 3));
    bench.settle();
    bench.serves(&["v", "x", "y", "z"]);
    assert_eq!((address(&bench).as_str(), bench.notes().len()), ("172.20.0.9", 0));
    // Two files may change places, and a file its name.
    bench.write("b.yaml", service("y", 2));
    bench.write("c.yaml", service("z", 3));
    fs::rename(bench.directory().join("a.yaml"), bench.directory().join("d.yaml")).unwrap();
    bench.settle();
    bench.serves(&["v", "x", "y", "z"]);
    assert_eq!((bench.errors().as_str(), bench.notes().len()), ("", 0));
    // Of two that come at once, the first by name has it.
    let mut bench = Bench::new(&[("b.yaml", &service("x", 2)), ("a.yaml", &service("x", 1))]);
    bench.settle();
    assert_eq!((address(&bench).as_str(), bench.notes().len()), ("172.20.0.1", 1));
}
