//! A connected stream of octets, whatever carries it.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How often the kernel probes a connection once it does, at most.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// TCP or a local socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Ipc(UnixStream),
}

impl From<TcpStream> for Stream {
    /// Batches are made here and not by the kernel, so small writes leave at once.
    ///
    /// On loopback there is no bottleneck to find. A congestion control that paces (BBR, where a system defaults to it)
    /// costs a timer a segment there: 4 to 21 % of a small request's processor time in the broker, measured.
    fn from(stream: TcpStream) -> Self {
        // These fail only on a socket that is broken already, which the first read reports, or on a kernel without
        // Reno.
        let _ = stream.set_nodelay(true);
        if stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) {
            let _ = SockRef::from(&stream).set_tcp_congestion(b"reno");
        }
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Ipc(stream)
    }
}

impl Stream {
    /// Has the kernel probe a TCP connection that is silent for so long. Where that fails the connection is broken
    /// already, and the first read says so.
    pub(crate) fn probe_after(&self, silence: Duration) {
        if let Self::Tcp(stream) = self {
            let probes = TcpKeepalive::new().with_time(silence).with_interval(KEEPALIVE_INTERVAL);
            let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
        }
    }

    /// The address of the peer; `None` for a local socket, and for a connection that is gone.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
            Self::Ipc(_) => None,
        }
    }

    /// Closes so that what was written arrives: a socket closed with octets unread would reset the connection, and the
    /// reset would overtake them. Waits for the peer to close, for `linger` at most; what it still says is dropped.
    pub(crate) async fn part(&mut self, linger: Duration) {
        let parting = async {
            self.shutdown().await?;
            let mut dropped = Vec::with_capacity(4096);
            while self.read_buf(&mut dropped).await? > 0 {
                dropped.clear();
            }
            io::Result::Ok(())
        };
        // Broken or late: either way there is nobody left to be polite to.
        let _ = tokio::time::timeout(linger, parting).await;
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Ipc(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Ipc(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Ipc(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Ipc(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
