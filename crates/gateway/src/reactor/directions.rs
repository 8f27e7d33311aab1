//! What operators directed, until it is on disk.

use std::collections::HashMap;

use bugle_core::Time;
use bugle_core::gateway::{Direction, DirectionRefusal};
use bugle_edge::Edge;
use tokio::sync::oneshot;

/// Those who wait to hear that it is done.
#[derive(Debug, Default)]
pub(super) struct Directions {
    waiting: HashMap<u64, oneshot::Sender<Result<(), DirectionRefusal>>>,
    last: u64,
}

impl Directions {
    pub(super) fn take(
        &mut self,
        now: Time,
        edge: &mut Edge,
        direction: Direction,
        directed: oneshot::Sender<Result<(), DirectionRefusal>>,
    ) {
        self.last += 1;
        match edge.handle_direction(now, direction, self.last) {
            Ok(()) => {
                self.waiting.insert(self.last, directed);
            }
            Err(refusal) => {
                // Whoever asked may be gone.
                let _ = directed.send(Err(refusal));
            }
        }
    }

    /// What was directed with this token is on disk.
    pub(super) fn done(&mut self, token: u64) {
        if let Some(directed) = self.waiting.remove(&token) {
            let _ = directed.send(Ok(()));
        }
    }
}
