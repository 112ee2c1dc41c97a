//! A package index of the tests' own (PEP 503), with one pure Python package,
//! for whoever knows the password.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use sha2::{Digest, Sha256};

/// Serves until the process ends.
pub(crate) struct Index {
    /// The port, on all addresses.
    pub(crate) port: u16,
}

#[derive(Clone)]
struct Shop {
    /// `user:password` in Base64 (RFC 7617).
    authorization: String,
    name: String,
    wheel: Vec<u8>,
}

impl Index {
    /// Serves version 1.0 of a package with one module, `<name>.py`.
    /// `authorization` is the Base64 of `user:password`.
    pub(crate) fn serve(name: &str, authorization: &str) -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (name, authorization) = (name.to_owned(), authorization.to_owned());
        let shop = Shop { wheel: wheel(&name), name, authorization };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shop = shop.clone();
                // A client that goes away is no concern of the others.
                std::thread::spawn(move || shop.answer(&stream));
            }
        });
        Self { port }
    }
}

impl Shop {
    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut is_known = false;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let (header, value) = line.split_once(": ").unwrap_or_default();
            let expected = format!("Basic {}", self.authorization);
            is_known |= header.eq_ignore_ascii_case("authorization") && value == expected;
        }
        let place = request.split(' ').nth(1).unwrap_or_default();
        let (status, kind, body) = match place {
            _ if !is_known => ("401 Unauthorized", "text/plain", Vec::new()),
            place if place == format!("/simple/{}/", self.name) => {
                ("200 OK", "text/html", self.page())
            }
            place if place.ends_with(".whl") => {
                ("200 OK", "application/octet-stream", self.wheel.clone())
            }
            _ => ("404 Not Found", "text/plain", Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             WWW-Authenticate: Basic realm=\"index\"\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)
    }

    fn page(&self) -> Vec<u8> {
        let hash: String =
            Sha256::digest(&self.wheel).iter().map(|it| format!("{it:02x}")).collect();
        let file = format!("{}-1.0-py3-none-any.whl", self.name);
        format!("<!DOCTYPE html><a href=\"/files/{file}#sha256={hash}\">{file}</a>").into_bytes()
    }
}

/// A wheel: a zip with a module and the three files that say what it is.
fn wheel(name: &str) -> Vec<u8> {
    let info = format!("{name}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    let tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let record = format!("{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
    zip(&[
        (format!("{name}.py"), "VALUE = 42\n".to_owned()),
        (format!("{info}/METADATA"), metadata),
        (format!("{info}/WHEEL"), tags.to_owned()),
        (format!("{info}/RECORD"), record),
    ])
}

/// A zip archive without compression (PKWARE's APPNOTE, 4.3).
fn zip(files: &[(String, String)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = u32::try_from(archive.len()).unwrap();
        let common = common_fields(name, content.as_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        // Read and written by its owner, read by all.
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(archive.len()).unwrap();
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

/// From the version that is needed to the length of the extra field.
fn common_fields(name: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap().to_le_bytes();
    // Version 2.0, no flags, stored, at midnight of the first day of 1980.
    let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    fields.extend(crc32(content).to_le_bytes());
    fields.extend([size, size].concat());
    fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    fields.extend([0; 2]);
    fields
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// An index that takes connections and says nothing, so that a build goes on until
/// it is dropped, and can't work out then.
pub(crate) struct SilentIndex {
    port: u16,
    listening: tokio::task::JoinHandle<()>,
}

impl SilentIndex {
    pub(crate) async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind(("0.0.0.0", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                held.push(listener.accept().await);
            }
        });
        Self { port, listening }
    }

    /// For builds, which reach this machine by the address that it sends from.
    pub(crate) fn url(&self) -> String {
        let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        // Nothing is sent: this only asks for the route.
        socket.connect(("192.0.2.1", 9)).unwrap();
        format!("http://{}:{}/simple/", socket.local_addr().unwrap().ip(), self.port)
    }
}

impl Drop for SilentIndex {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
