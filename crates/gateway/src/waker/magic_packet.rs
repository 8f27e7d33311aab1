//! Wake-on-LAN: six bytes of ones and sixteen times the MAC address, in a UDP broadcast.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bugle_core::MacAddress;
use tokio::net::UdpSocket;

use super::WakeError;

/// Port 9 is that of a service that throws everything away.
const BROADCAST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::BROADCAST), 9);

pub(super) async fn send(mac: &MacAddress, broadcast: Option<SocketAddr>) -> Result<(), WakeError> {
    let to = broadcast.unwrap_or(BROADCAST);
    let from: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(from).await?;
    socket.set_broadcast(true)?;
    socket.send_to(&packet(mac), to).await?;
    Ok(())
}

fn packet(mac: &MacAddress) -> Vec<u8> {
    let mut packet = vec![0xFF; 6];
    packet.extend(mac.as_bytes().repeat(16));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_packet_is_six_bytes_of_ones_and_sixteen_times_the_address() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let mac = "02:00:5e:10:00:01".parse().expect("a MAC address");
        send(&mac, socket.local_addr().ok()).await.expect("it is sent");
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).await.expect("it comes");
        assert_eq!(length, 102);
        assert_eq!(buffer[..6], [0xFF; 6]);
        assert!(buffer[6..102].chunks(6).all(|chunk| chunk == mac.as_bytes()));
    }
}
