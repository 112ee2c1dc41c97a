//! Addresses that can be reached. Nothing is sent to anybody but the sandbox's own
//! resolver.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;

use crate::attempt::{Attempts, call, signed};

/// Addresses for documentation, which no machine has (RFC 5737, RFC 3849).
const NOBODY: &str = "192.0.2.1:9";
const NOBODY_V6: &str = "[2001:db8::1]:9";

/// Address at which clouds hand out a machine's own credentials.
const METADATA: &str = "169.254.169.254:80";

/// `IFF_UP` (netdevice(7)).
const UP: u32 = 1;

/// The resolver's answer is waited for this long.
const RESOLVED_WITHIN: Duration = Duration::from_secs(1);

/// A connection that takes nothing for so long is full.
const BUFFERED_WITHIN: Duration = Duration::from_millis(200);

/// Bytes that are put into one socket at most: far more than it should hold.
const MOST_BUFFERED: usize = 64 << 20;

/// A question for the address of `invalid.`, which no resolver has (RFC 1035, RFC 6761).
const QUESTION: &[u8] =
    b"\x13\x37\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07invalid\x00\x00\x01\x00\x01";

/// Families of sockets that lead into the kernel or past the network's limits, with
/// type and protocol.
const FAMILIES: [(&str, [i32; 3]); 20] = [
    ("netlink route", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE]),
    ("netlink audit", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT]),
    ("netlink diagnosis", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG]),
    ("netlink filters", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER]),
    ("netlink IPsec", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_XFRM]),
    ("netlink events", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT]),
    ("netlink generic", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_GENERIC]),
    ("netlink cryptography", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_CRYPTO]),
    ("vsock", [libc::AF_VSOCK, libc::SOCK_STREAM, 0]),
    ("AF_ALG", [libc::AF_ALG, libc::SOCK_SEQPACKET, 0]),
    ("packet", [libc::AF_PACKET, libc::SOCK_RAW, 0]),
    ("raw IPv4", [libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP]),
    ("raw IPv6", [libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6]),
    ("rxrpc", [libc::AF_RXRPC, libc::SOCK_DGRAM, 0]),
    ("bluetooth", [libc::AF_BLUETOOTH, libc::SOCK_RAW, 1]),
    ("CAN", [libc::AF_CAN, libc::SOCK_RAW, 1]),
    ("TIPC", [libc::AF_TIPC, libc::SOCK_DGRAM, 0]),
    ("XDP", [libc::AF_XDP, libc::SOCK_RAW, 0]),
    ("key management", [libc::AF_KEY, libc::SOCK_RAW, 2]),
    ("RDS", [libc::AF_RDS, libc::SOCK_SEQPACKET, 0]),
];

pub(crate) fn attempt(attempts: &mut Attempts) {
    attempts.read("network.interfaces", interfaces());
    attempts.read("network.default route", default_routes());
    attempts.try_to("network.IPv4", reach(NOBODY));
    attempts.try_to("network.IPv6", reach(NOBODY_V6));
    attempts.try_to("network.metadata service", reach(METADATA));
    attempts.read("network.resolvers", resolvers().map(|it| it.len().to_string()));
    attempts.try_to("network.DNS", ask_resolver());
    attempts.try_to("network.loopback", loopback());
    attempts.read("network.bytes in a TCP connection", tcp_bytes().map(|it| it.to_string()));
    attempts.read("network.bytes in a UDP socket", udp_bytes().map(|it| it.to_string()));
    attempts.read("network.host's abstract sockets", abstract_sockets());
    for (name, [family, kind, protocol]) in FAMILIES {
        let arguments = [family, kind, protocol].map(signed);
        attempts.call(&format!("sockets.{name}"), libc::SYS_socket, arguments);
    }
    let mut pair = [0_i32; 2];
    let arguments = [libc::AF_VSOCK, libc::SOCK_STREAM, 0].map(signed);
    let [family, kind, protocol] = arguments;
    let made = call(libc::SYS_socketpair, [family, kind, protocol, pair.as_mut_ptr() as usize]);
    attempts.try_to("sockets.pair of vsock", made);
}

/// Those that are up: some kernels give every namespace tunnels, which are down.
fn interfaces() -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/class/net")? {
        let entry = entry?;
        let flags = fs::read_to_string(entry.path().join("flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(UP);
        if flags & UP != 0 {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names.join(" "))
}

fn default_routes() -> io::Result<String> {
    let routes = fs::read_to_string("/proc/net/route")?;
    let mut through = Vec::new();
    for line in routes.lines().skip(1) {
        let mut fields = line.split_whitespace();
        if let (Some(interface), Some("00000000")) = (fields.next(), fields.next()) {
            through.push(interface.to_owned());
        }
    }
    Ok(through.join(" "))
}

/// Checks that there is a route to an address: nothing is sent.
fn reach(address: &str) -> io::Result<()> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let from = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(from)?.connect(address)
}

fn resolvers() -> io::Result<Vec<String>> {
    let text = fs::read_to_string("/etc/resolv.conf")?;
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    Ok(servers.map(|it| it.trim().to_owned()).collect())
}

/// Asks the first resolver that there is, or else where one might be.
fn ask_resolver() -> io::Result<()> {
    let resolvers = resolvers().unwrap_or_default();
    let server = resolvers.first().map_or("192.0.2.53", String::as_str);
    let server: std::net::IpAddr = server.parse().map_err(io::Error::other)?;
    let from = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(RESOLVED_WITHIN))?;
    socket.connect((server, 53))?;
    socket.send(QUESTION)?;
    socket.recv(&mut [0; 512]).map(|_| ())
}

fn loopback() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, RESOLVED_WITHIN).map(|_| ())
}

/// Bytes that a connection holds while nothing reads them.
fn tcp_bytes() -> io::Result<usize> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // A connection has its listener's sizes.
    ask_for_buffers(&listener)?;
    let mut writer = TcpStream::connect_timeout(&listener.local_addr()?, RESOLVED_WITHIN)?;
    ask_for_buffers(&writer)?;
    let _reader = listener.accept()?;
    writer.set_write_timeout(Some(BUFFERED_WITHIN))?;
    let mut held = 0;
    while held < MOST_BUFFERED {
        match writer.write(&[0; 65_536]) {
            Ok(written) => held += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}

/// The same of a socket for datagrams, which drops what it can't hold.
fn udp_bytes() -> io::Result<usize> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    ask_for_buffers(&socket)?;
    socket.connect(socket.local_addr()?)?;
    socket.set_nonblocking(true)?;
    for _ in 0..MOST_BUFFERED / 32_768 {
        socket.send(&[0; 32_768])?;
    }
    let mut held = 0;
    while let Ok(read) = socket.recv(&mut [0; 32_768]) {
        held += read;
    }
    Ok(held)
}

/// Requests the largest ones possible; the kernel gives less without an error.
fn ask_for_buffers(socket: &impl AsRawFd) -> io::Result<()> {
    let size = i32::MAX / 2;
    let at = &raw const size as usize;
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        let [socket, level, option] = [socket.as_raw_fd(), libc::SOL_SOCKET, option].map(signed);
        call(libc::SYS_setsockopt, [socket, level, option, at, size_of_val(&size)])?;
    }
    Ok(())
}

/// Abstract sockets are in no file system: the network's namespace keeps them apart.
fn abstract_sockets() -> io::Result<String> {
    let sockets = fs::read_to_string("/proc/net/unix")?;
    let named = sockets.lines().filter_map(|line| line.split_whitespace().nth(7));
    Ok(named.filter(|it| it.starts_with('@')).count().to_string())
}
