//! What a script reaches: nothing but itself, unless it was given a network.

use std::net::TcpListener;

use crate::testkit::engine;
use crate::testkit::run::{Run, python, shell};
use serde_json::{Value, json};

/// Prints what there is of a network.
const PROBE: &str = r#"
import json, os, socket
def attempt(action):
    try:
        action()
        return 'done'
    except OSError as error:
        return type(error).__name__
routes = [line.split() for line in open('/proc/net/route').read().splitlines()[1:]]
listener = socket.create_server(('localhost', 0))
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found = {
    'interfaces': sorted(os.listdir('/sys/class/net')),
    'default routes': [route[0] for route in routes if route[1] == '00000000'],
    'localhost': sorted({it[4][0] for it in socket.getaddrinfo('localhost', 80)}),
    'loopback': attempt(lambda: socket.create_connection(listener.getsockname(), 5)),
    'dns': attempt(lambda: socket.getaddrinfo('example.invalid', 80)),
    'connect': attempt(lambda: socket.create_connection(('192.0.2.1', 80), 2)),
    'metadata': attempt(lambda: socket.create_connection(('169.254.169.254', 80), 2)),
    'datagram': attempt(lambda: datagram.sendto(b'x', ('192.0.2.1', 9))),
    'hostname': socket.gethostname(),
}
print(json.dumps(found))
"#;

fn probe(run: Run) -> Value {
    run.end().with_success().json()
}

#[test]
fn there_is_no_network() {
    let found = probe(python(PROBE));
    assert_eq!(found["interfaces"], json!(["lo"]));
    assert_eq!(found["default routes"], json!([]));
    assert_eq!(found["dns"], "gaierror");
    assert_eq!(found["connect"], "OSError");
    assert_eq!(found["metadata"], "OSError");
    assert_eq!(found["datagram"], "OSError");
}

#[test]
fn there_is_a_loopback_with_a_name() {
    let found = probe(python(PROBE));
    let addresses = found["localhost"].as_array().unwrap();
    assert!(addresses.contains(&json!("127.0.0.1")), "{found}");
    assert_eq!(found["loopback"], "done");
    assert_eq!(found["hostname"], "sandbox");
}

#[test]
fn the_hosts_resolver_is_not_told() {
    let ended = shell("cat /etc/resolv.conf").end().with_success();
    assert!(!ended.text().contains("nameserver"), "{ended:?}");
}

#[test]
fn programs_find_the_loopback_by_name_too() {
    let source = "exec 3<> /dev/tcp/localhost/9 || exit 3; getent hosts sandbox";
    let ended = shell("getent ahosts localhost; getent hosts sandbox").end().with_success();
    assert!(ended.text().contains("127.0.0.1"), "{ended:?}");
    shell(source).end().with(3, &["Connection refused"]);
}

#[test]
fn the_network_is_made_once_however_many_need_it() {
    let runs = [(); 3].map(|()| shell("true").args(["--network", "egress"]).start());
    for running in runs {
        running.end().with_success();
    }
    assert_eq!(engine::networks("gantry-egress"), 1);
}

#[test]
fn egress_has_a_way_out_and_a_resolver() {
    let found = probe(python(PROBE).args(["--network", "egress"]));
    assert_eq!(found["interfaces"], json!(["eth0", "lo"]));
    assert_eq!(found["default routes"], json!(["eth0"]));
    assert_eq!(found["loopback"], "done");
    assert_eq!(found["hostname"], "sandbox");
    let ended = shell("cat /etc/resolv.conf").args(["--network", "egress"]).end();
    assert!(ended.with_success().text().contains("nameserver"));
}

#[test]
fn egress_reaches_what_listens_outside() {
    // A connect reaches the host's own listener on the network's gateway.
    shell("true").args(["--network", "egress"]).end().with_success();
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let gateway = engine::gateway("gantry-egress");
    let source = "import socket, sys; socket.create_connection((sys.argv[1], sys.argv[2]), 10)";
    let run = python(source).args(["--arg", &gateway, "--arg", &port]);
    run.args(["--network", "egress"]).end().with_success();
    let run = python(source).args(["--arg", &gateway, "--arg", &port]);
    run.end().with(1, &["Network is unreachable"]);
}

#[test]
fn scripts_with_egress_do_not_reach_each_other() {
    let server = "
import fcntl, socket, struct, sys, time
name = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answer = fcntl.ioctl(name, 0x8915, struct.pack('256s', b'eth0'))
server = socket.create_server(('0.0.0.0', 4242))
print('listens on', socket.inet_ntoa(answer[20:24]), 'now', file=sys.stderr)
server.settimeout(60)
server.accept()
print('somebody came')
";
    let server = python(server).args(["--network", "egress"]).start();
    server.wait_for(" now");
    let said = server.said();
    let address = said.split_whitespace().nth(2).unwrap();
    let client = "import socket, sys; socket.create_connection((sys.argv[1], 4242), 3)";
    let client = python(client).args(["--network", "egress", "--arg", address]).end();
    assert_eq!(client.code, 1, "{client:?}");
    let is_refused = ["timed out", "TimeoutError", "unreachable"];
    assert!(is_refused.iter().any(|it| client.stderr.contains(it)), "{client:?}");
    server.signal("INT");
    assert_eq!(server.end().with(130, &[]).text(), "");
}

#[test]
fn egress_has_no_more_rights_than_any_other_script() {
    let source = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; id -g";
    let ended = shell(source).args(["--network", "egress"]).end().with_success();
    let expected = "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n\
                    NoNewPrivs:\t1\nSeccomp:\t2\n65534\n";
    assert_eq!(ended.text(), expected);
}

/// Connects to itself as often as may be, and writes until nothing fits.
const FILLER: &str = "
import socket
listener = socket.create_server(('127.0.0.1', 0), backlog=64)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)
held, sockets = 0, []
for _ in range(50):
    writer = socket.socket()
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
    writer.connect(listener.getsockname())
    sockets += [writer, listener.accept()[0]]
    writer.setblocking(False)
    try:
        while True:
            held += writer.send(bytes(1 << 20))
    except BlockingIOError:
        pass
print(held // 50)
";

#[test]
fn a_connection_holds_no_more_than_it_may_whatever_it_asks_for() {
    for (network, most) in [("none", 256 << 10), ("egress", 4 << 20)] {
        let ended = python(FILLER).args(["--network", network]).end().with_success();
        let held: u64 = ended.text().trim().parse().unwrap();
        assert!((16 << 10..=most).contains(&held), "{network}: {held}");
    }
}

#[test]
fn names_of_containers_beside_it_say_nothing_of_executions() {
    let other = shell("echo $EXECUTION_ID $(hostname -I) now >&2; sleep 60");
    let other = other.args(["--network", "egress"]).start();
    other.wait_for(" now");
    let said = other.said();
    let mut words = said.split_whitespace();
    let (id, address) = (words.next().unwrap(), words.next().unwrap());
    let source = "import socket, sys; print(*socket.gethostbyaddr(sys.argv[1])[:2])";
    let asking = python(source).args(["--network", "egress", "--arg", address]).end();
    let named = asking.with_success();
    assert!(named.text().starts_with("gantry-"), "{named:?}");
    assert!(!named.text().contains(id), "{named:?}");
    other.signal("INT");
    other.end().with(130, &[]);
}
