//! Servers that speak TLS, and who we are to them.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use penstock_kube::fake::Fake;
use penstock_kube::fake::tls::{Authority, Identity, Server};
use support::{Bench, findings, service, timing};

/// The token that the server takes.
const TOKEN: &str = "a-token";

/// A kubeconfig: of the cluster what follows the server's address, of the user everything.
fn kubeconfig(fake: &Fake, cluster: &str, user: &str) -> String {
    let port = fake.address().port();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [ {{ name: s, cluster: {{ server: \"https://127.0.0.1:{port}\", {cluster} }} }} ]\n\
         users: [ {{ name: u, user: {{ {user} }} }} ]\n\
         contexts: [ {{ name: c, context: {{ cluster: s, user: u }} }} ]\n"
    )
}

fn authority(name: &str) -> Authority {
    Authority::new(name).unwrap()
}

fn server_of(authority: &Authority, clients: Option<&Authority>) -> Server {
    Server::new(&authority.server(&["127.0.0.1"]).unwrap(), clients).unwrap()
}

/// A server that has one service.
fn fake(tls: Server) -> Fake {
    let fake = Fake::start_tls(tls).unwrap();
    fake.put(service("a", 1));
    fake
}

/// A watch by a kubeconfig. Files that it names are beside it.
fn bench(fake: Fake, cluster: &str, user: &str, files: &[(&str, &str)]) -> Bench {
    let text = kubeconfig(&fake, cluster, user);
    Bench::by(fake, timing(), |dir| {
        files.iter().for_each(|(name, text)| write(dir, name, text));
        text
    })
}

fn write(dir: &Path, name: &str, text: &str) {
    // As who keeps certificates does it: nobody sees half of one.
    let new = dir.join(format!("{name}.new"));
    fs::write(&new, text).unwrap();
    fs::rename(new, dir.join(name)).unwrap();
}

fn write_identity(dir: &Path, identity: &Identity) {
    write(dir, "crt", &identity.certificate);
    write(dir, "key", &identity.key);
}

#[tokio::test]
async fn a_server_is_believed_by_the_authority_of_the_kubeconfig() {
    let authority = authority("servers");
    let ca = authority.certificate();
    let data = format!("certificate-authority-data: {}", base64(ca.as_bytes()));
    for cluster in ["certificate-authority: ca", &data] {
        let fake = fake(server_of(&authority, None));
        let mut bench = bench(fake, cluster, &format!("token: {TOKEN}"), &[("ca", &ca)]);
        bench.serves(&[("a", &[])]).await;
        assert!(bench.until(|f| f.complete).await.findings.is_empty());
    }
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_told_nothing() {
    let (known, other) = (authority("known"), authority("other"));
    let elsewhere = Server::new(&known.server(&["example.com"]).unwrap(), None).unwrap();
    for (server, why) in
        [(server_of(&other, None), "UnknownIssuer"), (elsewhere, "not valid for name")]
    {
        let files = [("ca", &*known.certificate())];
        let fake = fake(server);
        let mut bench =
            bench(fake, "certificate-authority: ca", &format!("token: {TOKEN}"), &files);
        let fragment = bench.until(|f| f.stale).await;
        assert!(!fragment.complete);
        assert!(findings(&fragment)[0].contains(why), "{why}: {:?}", findings(&fragment));
        assert!(bench.fake.requests().is_empty());
        // Until it is one that is known.
        bench.fake.set_tls(server_of(&known, None));
        bench.fake.come_back().unwrap();
        bench.serves(&[("a", &[])]).await;
    }
}

#[tokio::test]
async fn another_authority_of_the_server_is_believed_once_its_file_says_so() {
    let (old, new) = (authority("old"), authority("new"));
    let fake = fake(server_of(&old, None));
    let files = [("ca", &*old.certificate())];
    let mut bench = bench(fake, "certificate-authority: ca", &format!("token: {TOKEN}"), &files);
    bench.serves(&[("a", &[])]).await;
    bench.fake.set_tls(server_of(&new, None));
    bench.fake.put(service("b", 2));
    bench.fake.come_back().unwrap();
    bench.until(|f| f.stale && findings(f).iter().any(|one| one.contains("UnknownIssuer"))).await;
    write(bench.dir.path(), "ca", &new.certificate());
    bench.serves(&[("a", &[]), ("b", &[])]).await;
    bench.until(|f| !f.stale).await;
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let (authority, clients) = (authority("servers"), authority("clients"));
    let fake = fake(server_of(&authority, Some(&clients)));
    let identity = clients.client("node").unwrap();
    let files = [
        ("ca", &*authority.certificate()),
        ("crt", &*identity.certificate),
        ("key", &*identity.key),
    ];
    let user = "client-certificate: crt, client-key: key";
    let mut bench = bench(fake, "certificate-authority: ca", user, &files);
    bench.serves(&[("a", &[])]).await;
    // The authority of clients is another one now, and the old certificate worth nothing.
    let others = self::authority("others");
    bench.fake.set_tls(server_of(&authority, Some(&others)));
    bench.fake.put(service("b", 2));
    bench.fake.come_back().unwrap();
    bench.until(|f| f.stale).await;
    write_identity(bench.dir.path(), &others.client("node").unwrap());
    bench.serves(&[("a", &[]), ("b", &[])]).await;
    bench.until(|f| !f.stale).await;
}

#[tokio::test]
async fn who_has_neither_certificate_nor_token_is_refused() {
    let (authority, clients) = (authority("servers"), authority("clients"));
    let fake = fake(server_of(&authority, Some(&clients)));
    let files = [("ca", &*authority.certificate())];
    let mut bench = bench(fake, "certificate-authority: ca", "", &files);
    let fragment = bench.until(|f| f.stale).await;
    assert!(findings(&fragment)[0].contains("who are you?"), "{:?}", findings(&fragment));
}

#[tokio::test]
async fn a_token_file_may_be_replaced() {
    let authority = authority("servers");
    let fake = fake(server_of(&authority, None));
    // As `kubectl create token` prints it.
    let token = format!("{TOKEN}\n");
    let files = [("ca", &*authority.certificate()), ("token", &token)];
    let mut bench = bench(fake, "certificate-authority: ca", "tokenFile: token", &files);
    bench.serves(&[("a", &[])]).await;
    let lists = bench.fake.lists();
    write(bench.dir.path(), "token", "another");
    bench.fake.set_token("another");
    bench.fake.end_watches();
    bench.fake.put(service("b", 2));
    bench.serves(&[("a", &[]), ("b", &[])]).await;
    assert_eq!(bench.fake.lists(), lists, "who it is has changed, and nothing else");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - part.len()));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= part.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}
