//! A server that gives canned answers, in order, and commands that send it requests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// One answer.
pub(crate) struct Reply {
    head: String,
    body: String,
    times: usize,
    is_raw: bool,
    is_cut: bool,
    is_kept_open: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n");
        Self { head, ..Self::raw(body) }.with_http()
    }

    /// Bytes that need not be HTTP.
    pub(crate) fn raw(body: &str) -> Self {
        Self {
            head: String::new(),
            body: body.to_owned(),
            times: 1,
            is_raw: true,
            is_cut: false,
            is_kept_open: false,
        }
    }

    fn with_http(mut self) -> Self {
        self.is_raw = false;
        self
    }

    pub(crate) fn with_header(mut self, header: &str) -> Self {
        self.head.push_str(header);
        self.head.push_str("\r\n");
        self
    }

    /// The connection ends within the answer.
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// The answer never ends.
    pub(crate) fn kept_open(mut self) -> Self {
        self.is_kept_open = true;
        self
    }

    /// The body so many times, filled to a mebibyte each.
    pub(crate) fn repeated(mut self, times: usize) -> Self {
        self.body.push_str(&" ".repeat((1 << 20) - self.body.len()));
        self.times = times;
        self
    }

    fn write_to(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        if self.is_raw {
            stream.write_all(self.body.as_bytes())?;
            return stream.shutdown(Shutdown::Both);
        }
        // Chunks, so that the end is part of the answer.
        let head = format!("{}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", self.head);
        stream.write_all(head.as_bytes())?;
        for _ in 0..self.times {
            if !self.body.is_empty() {
                stream
                    .write_all(format!("{:x}\r\n{}\r\n", self.body.len(), self.body).as_bytes())?;
            }
        }
        if self.is_kept_open {
            // Until the client goes.
            let _ = stream.read(&mut [0; 1]);
        } else if !self.is_cut {
            stream.write_all(b"0\r\n\r\n")?;
        }
        stream.shutdown(Shutdown::Both)
    }
}

/// A server on a port of its own, until the test's process ends.
pub(crate) struct Canned {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// Every connection gets the next answer, and the ones after the last the
    /// last one.
    pub(crate) fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let reply = &replies[number.min(replies.len() - 1)];
                let request = match reply.is_raw {
                    // Whatever it is, it is not waited for.
                    true => stream.read(&mut [0; 4096]).map(|_| String::new()).unwrap(),
                    false => read_request(&stream),
                };
                seen.lock().unwrap().push(request);
                // The client may go before the end.
                let _ = reply.write_to(&mut stream);
            }
        });
        Self { url, requests }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The head of a request; its body is read, too, when its length is known.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line).unwrap_or(0);
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if read == 0 || line.trim().is_empty() {
            break;
        }
    }
    let _ = reader.take(length).read_to_end(&mut Vec::new());
    head
}

/// An address without a listener.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a client command to its end.
pub(crate) fn gantry(arguments: &[&str], url: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    command.args(arguments).env("GANTRY_URL", url);
    for name in ["GANTRY_TOKEN", "GANTRY_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
