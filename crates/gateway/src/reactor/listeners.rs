//! Where peripherals knock.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::Time;
use bugle_edge::Edge;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Type};

use super::socket::Socket;
use super::sockets::Sockets;

/// Connections taken from one listener in one turn, so that those that are in are served meanwhile.
const ACCEPTS_PER_TURN_MAX: usize = 256;

/// Connections that wait at one listener to be taken, as far as the system lets them. A whole fleet knocks at
/// once after a power cut, and whoever finds no room waits for a second at least before it knocks again.
const WAITING_MAX: i32 = 4_096;

/// How long a listener rests after the system let it accept nothing.
const REST: Duration = Duration::from_millis(100);

/// The listeners, plain and TLS.
#[derive(Default)]
pub(crate) struct Listeners(Vec<Listener>);

struct Listener {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// From when on somebody may be waiting; none if nobody is.
    ready_at: Option<Time>,
}

impl Listeners {
    /// Opens a listener, and says at which address.
    pub(crate) fn add(
        &mut self,
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<SocketAddr> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        self.0.push(Listener { listener, tls, ready_at: None });
        Ok(address)
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, known) in self.0.iter_mut().enumerate() {
            registry.register(&mut known.listener, Token(number), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Takes note that somebody knocks. Whether it is at one of these.
    pub(super) fn on_ready(&mut self, now: Time, token: Token) -> bool {
        let known = self.0.get_mut(token.0);
        let is_one = known.is_some();
        if let Some(known) = known {
            known.ready_at = Some(now);
        }
        is_one
    }

    /// Takes nobody in any more.
    pub(super) fn close(&mut self) {
        self.0.clear();
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.0.iter().filter_map(|known| known.ready_at).min()
    }

    /// Takes in those who wait.
    pub(super) fn serve(&mut self, now: Time, edge: &mut Edge, sockets: &mut Sockets, registry: &Registry) {
        for known in self.0.iter_mut().filter(|known| known.ready_at.is_some_and(|at| at <= now)) {
            known.accept(now, edge, sockets, registry);
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A gateway that is started again takes its port though connections of the one before are still closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING_MAX)?;
    Ok(TcpListener::from_std(socket.into()))
}

impl Listener {
    fn accept(&mut self, now: Time, edge: &mut Edge, sockets: &mut Sockets, registry: &Registry) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.listener.accept() {
                Ok((stream, address)) => {
                    let connection = edge.handle_accepted(now, address.to_string().into());
                    let added = Socket::new(stream, self.tls.as_ref())
                        .and_then(|socket| sockets.add(connection, socket, registry));
                    if let Err(error) = added {
                        tracing::warn!(%error, %address, "a connection could not be set up");
                        edge.handle_closed(now, connection);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready_at = None;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Mostly too many open files: those that are in go on, and those outside wait.
                    tracing::error!(%error, "no more connections can be accepted now");
                    self.ready_at = Some(now + REST);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_whole_fleet_may_knock_before_anybody_is_taken() {
        // As a machine has it that nobody has tuned, and a first tenth of what is asked for.
        let knocking = 400;
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        // Less than the second after which a system knocks again.
        let patience = Duration::from_millis(900);
        let inside: Vec<TcpStream> =
            (0..knocking).map_while(|_| TcpStream::connect_timeout(&address, patience).ok()).collect();
        assert_eq!(inside.len(), knocking);
    }
}
