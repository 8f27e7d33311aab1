//! A CoAP POST to a wake-up radio.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bugle_coap::{Config, Delivery, Endpoint, Event, Method, Output, Request};
use bugle_core::{CoapUri, PeripheralId};
use bugle_runtime::Clock;
use tokio::net::{UdpSocket, lookup_host};

use super::WakeError;
use super::placeholder::fill;

/// Larger than any answer that says that something was woken.
const DATAGRAM_BYTES_MAX: usize = 1_500;

pub(super) async fn send(uri: &CoapUri, peripheral: &PeripheralId, clock: Clock) -> Result<(), WakeError> {
    let (host, port) = uri.authority();
    let to = lookup_host((host, port)).await?.next().ok_or_else(|| WakeError::NoAddress(host.to_owned()))?;
    let from: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut endpoint = Endpoint::new(Config::default(), secret);
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let silent = |error: &dyn std::fmt::Display| WakeError::Silent(error.to_string());
    let request = request(uri, peripheral).map_err(|error| silent(&error))?;
    endpoint.request(clock.now(), (), request, Delivery::default()).map_err(|error| silent(&error))?;
    loop {
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit { datagram, .. } => drop(socket.send(&datagram).await?),
                Output::Event(Event::Response { response, .. }) if response.code.is_success() => return Ok(()),
                Output::Event(Event::Response { response, .. }) => {
                    return Err(WakeError::Code(response.code.to_string()));
                }
                Output::Event(Event::Failed { failure, .. }) => return Err(silent(&failure)),
                Output::Event(_) => {}
            }
        }
        let timeout = endpoint.next_timeout().map_or(std::time::Duration::MAX, |at| at - clock.now());
        match tokio::time::timeout(timeout, socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => endpoint.handle_datagram(clock.now(), (), &buffer[..length]),
            // Nobody listens there yet: it is sent again.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => endpoint.handle_timeout(clock.now()),
        }
    }
}

fn request(uri: &CoapUri, peripheral: &PeripheralId) -> Result<Request, bugle_coap::OptionValueError> {
    let path: String = uri.path().map(|segment| format!("/{}", fill(segment, peripheral))).collect();
    let request = Request::new(Method::Post).with_path(&path)?;
    uri.query().try_fold(request, |request, argument| request.with_query(&fill(argument, peripheral)))
}
