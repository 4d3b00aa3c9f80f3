//! As much of HTTP/1.1 as the clients of the stub speak.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A connection, read through a buffer.
pub type Stream = BufReader<TcpStream>;

/// A request without its body.
pub struct Head {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// `None` if the client is done.
    pub async fn read(stream: &mut Stream) -> io::Result<Option<Self>> {
        let first = read_line(stream).await?;
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
        let mut head = Self { method, path, headers: Vec::new() };
        loop {
            let line = read_line(stream).await?;
            let Some((name, value)) = line.split_once(':') else { return Ok(Some(head)) };
            head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn ends_connection(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The announced length of the body; 0 if it comes in chunks.
    pub fn length(&self) -> usize {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    pub async fn read_body(&self, stream: &mut Stream) -> io::Result<Vec<u8>> {
        if self.header("expect").is_some() {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_none() {
            body.resize(self.length(), 0);
            stream.read_exact(&mut body).await?;
            return Ok(body);
        }
        loop {
            let line = read_line(stream).await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..]).await?;
            read_line(stream).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// An answer of the server, or of something in front of it.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn json(status: u16, body: &str) -> Self {
        Self::of_type("application/json;charset=UTF-8", status, body)
    }

    pub fn html(status: u16, body: &str) -> Self {
        Self::of_type("text/html", status, body)
    }

    fn of_type(kind: &str, status: u16, body: &str) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    pub fn head(&self, ends_connection: bool) -> String {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if ends_connection {
            head += "connection: close\r\n";
        }
        write!(head, "content-length: {}\r\n\r\n", self.body.len()).unwrap();
        head
    }

    pub async fn send(&self, stream: &mut Stream, ends_connection: bool) -> io::Result<()> {
        let stream = stream.get_mut();
        let head = self.head(ends_connection).into_bytes();
        stream.write_all(&[&head[..], &self.body].concat()).await?;
        stream.flush().await
    }
}

/// A line without its end; empty at the end of the stream.
async fn read_line(stream: &mut Stream) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    line.truncate(line.trim_end().len());
    Ok(line)
}
