//! A web server on loopback that answers every request the same.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is answered.
#[derive(Clone)]
pub struct Page {
    pub status: &'static str,
    pub kind: &'static str,
    pub body: Vec<u8>,
}

/// Serves until dropped.
pub struct WebStub {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl WebStub {
    pub async fn serving(page: Page) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // A client that has seen enough hangs up.
                let _ = answer(connection, &page).await;
            }
        });
        Self { address, task }
    }

    /// The address of something on it.
    pub fn address(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for WebStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(connection: TcpStream, page: &Page) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    while connection.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let Page { status, kind, body } = page;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body).await?;
    connection.flush().await
}
