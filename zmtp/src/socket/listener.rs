//! Listening sockets, and the task that accepts from one.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::socket::endpoint::{Endpoint, Target};
use crate::socket::half_open::{self, Origin};
use crate::socket::reception::Reception;
use crate::socket::stream::Stream;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 4096;
/// Delays after a failure to accept, which mostly means that no file descriptor is left: doubling between these.
const FAILURE_DELAY_MIN: Duration = Duration::from_millis(10);
const FAILURE_DELAY_MAX: Duration = Duration::from_secs(1);

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener, #[expect(dead_code, reason = "held for its drop")] SocketFile),
}

/// The file of a local socket; removed when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Listens; returns the endpoint with its real port.
    pub(crate) async fn bind(endpoint: &Endpoint) -> io::Result<(Self, Endpoint)> {
        match endpoint.listen_target().await? {
            Target::Ipc(path) => Ok((bind_ipc(&path).await?, endpoint.clone())),
            Target::Tcp(addresses) => {
                let listener = first_that_binds(&addresses)?;
                let port = listener.local_addr()?.port();
                Ok((Self::Tcp(listener), endpoint.with_port(port)))
            }
        }
    }

    /// The same at an address that needs no looking up.
    pub(crate) fn bind_address(address: SocketAddr) -> io::Result<(Self, Endpoint)> {
        let listener = bind_tcp(address)?;
        let port = listener.local_addr()?.port();
        Ok((Self::Tcp(listener), Endpoint::from(address).with_port(port)))
    }

    async fn accept(&self) -> io::Result<(Stream, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((stream.into(), half_open::origin(address.ip())))
            }
            Self::Ipc(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), None))
            }
        }
    }

    /// Accepts for ever. Without file descriptors it waits, longer each time, and does not spin.
    pub(crate) async fn run(self, reception: Reception) {
        let mut delay = FAILURE_DELAY_MIN;
        loop {
            match self.accept().await {
                Ok((stream, origin)) => {
                    delay = FAILURE_DELAY_MIN;
                    reception.receive(stream, origin);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => {
                    reception.counters().failed.fetch_add(1, Relaxed);
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(FAILURE_DELAY_MAX);
                }
            }
        }
    }
}

/// Errors of a connection that died in the kernel's queue say nothing about the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn first_that_binds(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for &address in addresses {
        match bind_tcp(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A file that a dead process left behind is replaced; one that somebody listens on, or that is no socket, is not.
async fn bind_ipc(path: &Path) -> io::Result<Listener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket {
        match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let listener = UnixListener::bind(path)?;
    let inode = std::fs::symlink_metadata(path)?.ino();
    Ok(Listener::Ipc(listener, SocketFile { path: path.to_owned(), inode }))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // Nobody is there to be told, and the next process replaces a file that stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
