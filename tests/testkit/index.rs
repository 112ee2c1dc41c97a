//! A package index of the tests' own (PEP 503), with a few wheels, protected by a
//! password.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Serves until the process ends.
pub(crate) struct Index {
    /// The port, on all addresses.
    pub(crate) port: u16,
}

struct Shop {
    /// `user:password` in Base64 (RFC 7617), where one is required.
    authorization: Option<String>,
    /// Names, and wheels.
    wheels: Vec<(Wheel, Vec<u8>)>,
}

/// Version 1.0 of a pure Python package.
pub(crate) struct Wheel {
    name: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Wheel {
    /// One module, `<name>.py`.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), files: Vec::new() }
            .with(&format!("{name}.py"), "VALUE = 42\n")
    }

    /// One more file, at a path in the wheel.
    pub(crate) fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    fn file_name(&self) -> String {
        format!("{}-1.0-py3-none-any.whl", self.name)
    }

    /// A zip with the files and the three that say what they are.
    fn zip(&self) -> Vec<u8> {
        let info = format!("{}-1.0.dist-info", self.name);
        let metadata = format!("Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n", self.name);
        let tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let mut files = self.files.clone();
        files.push((format!("{info}/METADATA"), metadata.into()));
        files.push((format!("{info}/WHEEL"), tags.into()));
        let record: String =
            files.iter().map(|(path, content)| record_row(path, content)).collect();
        files.push((format!("{info}/RECORD"), format!("{record}{info}/RECORD,,\n").into()));
        zip(&files)
    }
}

/// A row of a RECORD.
fn record_row(path: &str, content: &[u8]) -> String {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
    format!("{path},sha256={hash},{}\n", content.len())
}

impl Index {
    /// Serves a package with one module, `<name>.py`. `authorization` is the Base64 of
    /// `user:password`.
    pub(crate) fn serve(name: &str, authorization: &str) -> Self {
        Self::open(vec![Wheel::new(name)], Some(authorization.to_owned()))
    }

    /// Serves wheels to everybody.
    pub(crate) fn of(wheels: Vec<Wheel>) -> Self {
        Self::open(wheels, None)
    }

    fn open(wheels: Vec<Wheel>, authorization: Option<String>) -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let zipped = wheels.into_iter().map(|wheel| {
            let zip = wheel.zip();
            (wheel, zip)
        });
        let shop = Arc::new(Shop { authorization, wheels: zipped.collect() });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shop = Arc::clone(&shop);
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
        let mut is_known = self.authorization.is_none();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let (header, value) = line.split_once(": ").unwrap_or_default();
            let expected = self.authorization.as_ref().map(|it| format!("Basic {it}"));
            is_known |=
                header.eq_ignore_ascii_case("authorization") && Some(value) == expected.as_deref();
        }
        let place = request.split(' ').nth(1).unwrap_or_default();
        let (status, kind, body) = match self.body(place) {
            _ if !is_known => ("401 Unauthorized", "text/plain", Vec::new()),
            Some((kind, body)) => ("200 OK", kind, body),
            None => ("404 Not Found", "text/plain", Vec::new()),
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

    fn body(&self, place: &str) -> Option<(&'static str, Vec<u8>)> {
        self.wheels.iter().find_map(|(wheel, zip)| {
            let file = wheel.file_name();
            if place == format!("/simple/{}/", wheel.name) {
                Some(("text/html", page(&file, zip)))
            } else if place == format!("/files/{file}") {
                Some(("application/octet-stream", zip.clone()))
            } else {
                None
            }
        })
    }
}

fn page(file: &str, zip: &[u8]) -> Vec<u8> {
    let hash: String = Sha256::digest(zip).iter().map(|it| format!("{it:02x}")).collect();
    format!("<!DOCTYPE html><a href=\"/files/{file}#sha256={hash}\">{file}</a>").into_bytes()
}

/// A zip archive without compression (PKWARE's APPNOTE, 4.3).
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = u32::try_from(archive.len()).unwrap();
        let common = common_fields(name, content);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(content);
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

/// An index that takes connections and sends nothing, so that a build goes on until it is
/// dropped, and fails then.
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
        // Nothing is sent: this only looks up the route.
        socket.connect(("192.0.2.1", 9)).unwrap();
        format!("http://{}:{}/simple/", socket.local_addr().unwrap().ip(), self.port)
    }
}

impl Drop for SilentIndex {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
