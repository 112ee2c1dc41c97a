//! Stands between the server and its database, and breaks what goes through.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// All goes through.
    Flows,
    /// Connections stay, and carry nothing.
    Stalls,
    /// All connections are closed, and new ones at once.
    Breaks,
}

/// Listens on a port of its own until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    traffic: watch::Sender<Traffic>,
    listening: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (traffic, watched) = watch::channel(Traffic::Flows);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, (host.clone(), port), watched.clone()));
            }
        });
        Self { address, traffic, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.set(Traffic::Breaks);
    }
}

async fn carry(client: TcpStream, server: (String, u16), mut traffic: watch::Receiver<Traffic>) {
    if *traffic.borrow_and_update() == Traffic::Breaks {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    // Whichever side ends first ends both.
    tokio::select! {
        () = one_way(client_reads, server_writes, traffic.clone()) => {}
        () = one_way(server_reads, client_writes, traffic) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut traffic: watch::Receiver<Traffic>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *traffic.borrow_and_update();
        tokio::select! {
            changed = traffic.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if now == Traffic::Flows => {
                let Ok(length @ 1..) = read else { return };
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
        if *traffic.borrow() == Traffic::Breaks {
            return;
        }
    }
}
