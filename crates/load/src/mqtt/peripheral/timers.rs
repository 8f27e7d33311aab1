//! The timers of one simulated peripheral.

use bugle_core::Time;

/// What a simulated peripheral waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// To connect: at the start, after a sleep, or after a failure.
    Connect,
    /// The server's word on CONNECT or SUBSCRIBE.
    Patience,
    /// To show that it is still there.
    KeepAlive,
    /// To answer.
    Answer,
    /// To report.
    Report,
    /// To go to sleep.
    Sleep,
    /// To deregister.
    Leave,
}

impl Timer {
    const ALL: [Self; 7] =
        [Self::Connect, Self::Patience, Self::KeepAlive, Self::Answer, Self::Report, Self::Sleep, Self::Leave];
}

/// When each timer goes off, if it is set.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Time>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Unsets all that make sense on a connection only.
    pub(super) fn clear_connection(&mut self) {
        for timer in [Timer::Patience, Timer::KeepAlive, Timer::Report, Timer::Sleep] {
            self.clear(timer);
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// The next that goes off.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one that has gone off.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.clear(due);
        Some(due)
    }
}
