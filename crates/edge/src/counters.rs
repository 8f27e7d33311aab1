//! What is counted and not told one by one.

/// What a gateway has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections that are open.
    pub connections: u64,
    /// LwM2M clients that are registered.
    pub clients: u64,
    /// Sessions of DTLS that stand.
    pub sessions: u64,
    /// Datagrams that were no messages of CoAP.
    pub datagrams_malformed: u64,
    /// Messages of CoAP that were sent again.
    pub retransmissions: u64,
    /// Handshakes of DTLS that came to nothing.
    pub handshakes_failed: u64,
    /// Datagrams for which there was no session to send them in.
    pub datagrams_unsent: u64,
    /// Connections that were ever opened.
    pub accepted: u64,
    /// Registrations that were admitted, re-admissions among them.
    pub admitted: u64,
    /// Registrations that were refused.
    pub refused: u64,
    /// Deliveries that were put to peripherals, repetitions among them.
    pub deliveries: u64,
    /// Packets that were of no use, and were dropped or refused.
    pub noise: u64,
    /// Connections that were closed because the peripheral broke a rule of its protocol.
    pub faults: u64,
    /// Reports of quality of service 0 that were dropped while the store could take nothing.
    pub reports_dropped: u64,
}
