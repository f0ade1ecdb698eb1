//! Listening, with room for all who come in the same instant.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until they are accepted. Whoever comes when there are that many
/// gets no answer and asks again after a second: players of a whole shard log in again in the same
/// instant after a patch, and with the usual 128 one in ten of 1,000 waited. Linux takes
/// `net.core.somaxconn` (4096) if that is less.
const BACKLOG: u32 = 4_096;

/// Listens on an address; port 0 takes a free one.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a restart does not wait for what the process before it has left in the kernel.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use super::*;

    /// Nobody accepts: the test's only thread connects.
    #[tokio::test]
    async fn all_who_come_in_the_same_instant_get_in() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("listens");
        let address = listener.local_addr().expect("an address");
        let peers: Vec<TcpStream> = (0..600)
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(900)).expect("connects"))
            .collect();
        drop(peers);
    }
}
