//! Every bound of an endpoint, in one place.

/// How much an endpoint holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Peers of which anything is remembered. Requests of one more are dropped until some are forgotten.
    pub peers_max: usize,
    /// Messages of one peer that are remembered to recognise duplicates; the oldest give way.
    pub remembered_per_peer_max: usize,
    /// What answers to duplicates may take in all. Requests are dropped, and will be sent again, beyond that.
    pub remembered_bytes_max: usize,
    /// Requests of one peer that are not answered yet. More are dropped, and will be sent again.
    pub unanswered_per_peer_max: usize,
    /// Exchanges with one peer that have not ended: the one in progress, those that wait behind it, and those whose
    /// response has not come.
    pub exchanges_per_peer_max: usize,
    /// The largest body that is put together from blocks, in either direction.
    pub body_bytes_max: usize,
    /// Bodies that one peer sends block by block at the same time; the oldest give way.
    pub uploads_per_peer_max: usize,
    /// What all peers' half-sent bodies may take.
    pub uploads_bytes_max: usize,
    /// Bodies kept for one peer to fetch block by block; the oldest give way.
    pub bodies_per_peer_max: usize,
    /// What all kept bodies may take. One that finds no room is asked for anew, block by block.
    pub bodies_bytes_max: usize,
    /// Resources of ours that one peer observes.
    pub observers_per_peer_max: usize,
    /// Resources of one peer that we observe.
    pub observations_per_peer_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers_max: 2_000_000,
            remembered_per_peer_max: 32,
            remembered_bytes_max: 512 << 20,
            unanswered_per_peer_max: 8,
            exchanges_per_peer_max: 17,
            body_bytes_max: 64 << 10,
            uploads_per_peer_max: 2,
            uploads_bytes_max: 64 << 20,
            bodies_per_peer_max: 8,
            bodies_bytes_max: 64 << 20,
            observers_per_peer_max: 64,
            observations_per_peer_max: 256,
        }
    }
}

/// How often a block-wise transfer begins anew before it fails: because the representation changed
/// under way, or because the peer lost the blocks it had.
pub(crate) const RESTARTS_MAX: u8 = 2;
