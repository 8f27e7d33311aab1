//! The platform's service without its listeners: performs procedures and wakes those who wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use bugle_core::platform::{
    Applied, ApplyUp, Foresight, IdempotencyKey, Procedure, Submit, SubmitRefusal, Submitted, UpError, foresee,
};
use bugle_core::{ApplicationId, DownEntry, GatewayId, RequestId, Time, UpEntry};
use bugle_runtime::{Authority, Clock, Shutdown};
use bugle_store::platform::{Failure, News, PlatformStore};
use bugle_store::sqlite::StoreError;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use crate::counters::{Counters, Counts};
use crate::link::Links;
use crate::notifier::Notifier;
use crate::secret::{self, NoRandomness};

/// The platform, as its listeners and the clock use it. Clones are the same platform.
#[derive(Debug, Clone)]
pub struct Platform(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: PlatformStore,
    clock: Clock,
    shutdown: Shutdown,
    authority: Authority,
    link_address: String,
    links: Links,
    counters: Counters,
    new_for_gateway: Notifier<GatewayId>,
    new_for_application: Notifier<ApplicationId>,
    complete: Notifier<RequestId>,
    new_deadline: Notify,
    new_schedule: Notify,
}

/// Why a group request was not accepted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The rules refuse it, or the store could not take it.
    #[error(transparent)]
    Failure(#[from] Failure<SubmitRefusal>),
    /// No id could be drawn for it.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Shared {
    fn tell(&self, news: &News) {
        for gateway in &news.gateways {
            self.new_for_gateway.notify(gateway);
        }
        for application in &news.applications {
            self.new_for_application.notify(application);
        }
        for request in &news.complete {
            self.complete.notify(request);
        }
        if news.deadlines {
            self.new_deadline.notify_one();
        }
        if news.schedules {
            self.new_schedule.notify_one();
        }
    }
}

impl Platform {
    pub(crate) fn new(
        store: PlatformStore,
        clock: Clock,
        shutdown: Shutdown,
        authority: Authority,
        link_address: String,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            shutdown,
            authority,
            link_address,
            links: Links::default(),
            counters: Counters::default(),
            new_for_gateway: Notifier::default(),
            new_for_application: Notifier::default(),
            complete: Notifier::default(),
            new_deadline: Notify::new(),
            new_schedule: Notify::new(),
        }))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(crate) fn store(&self) -> &PlatformStore {
        &self.0.store
    }

    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    pub(crate) fn link_address(&self) -> &str {
        &self.0.link_address
    }

    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Performs a procedure, and when it is on disk wakes those whom it concerns. It is on its way
    /// when this returns; the answer is to be waited for.
    pub(crate) fn perform<P>(
        &self,
        procedure: P,
    ) -> impl Future<Output = Result<P::Answer, Failure<P::Refusal>>> + Send + use<P>
    where
        P: Procedure + Send + 'static,
        P::Answer: Send + 'static,
        P::Refusal: Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let answer = shared.store.perform(procedure, shared.clock.now());
        async move {
            let performed = answer.recv().await?;
            shared.tell(&performed.news);
            Ok(performed.answer)
        }
    }

    /// Applies entries of a gateway's up log. What is applied may be acknowledged. They are on their
    /// way when this returns, so that batches are applied in the order of the calls; the answer is to
    /// be waited for.
    ///
    /// # Errors
    /// If the gateway is unknown, entries are missing, or the store cannot take them.
    pub fn apply_up(
        &self,
        gateway: &GatewayId,
        entries: Vec<(u64, UpEntry)>,
    ) -> impl Future<Output = Result<Applied, Failure<UpError>>> + Send + use<> {
        let (platform, gateway) = (self.clone(), gateway.clone());
        let brought = Counts::of(&entries);
        let applied = self.perform(ApplyUp { gateway: gateway.clone(), entries });
        async move {
            let applied = applied.await?;
            platform.counters().count(|counts| counts.add(&brought));
            if applied.ignored > 0 {
                tracing::debug!(%gateway, ignored = applied.ignored, "entries speak of what is unknown here or over");
            }
            Ok(applied)
        }
    }

    /// At most `limit` entries of a gateway's down log after `after`, with their sequences.
    ///
    /// # Errors
    /// If the store cannot read them.
    pub async fn down_entries(
        &self,
        gateway: &GatewayId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, DownEntry)>, StoreError> {
        self.0.store.down(gateway, after, limit).recv().await
    }

    /// A gateway has its down log on disk up to `through`.
    ///
    /// # Errors
    /// If the store cannot take it.
    pub async fn acknowledge_down(&self, gateway: &GatewayId, through: u64) -> Result<(), StoreError> {
        self.0.store.acknowledge_down(gateway, through).recv().await
    }

    /// From now on the receiver is changed whenever there is something new in a gateway's down log.
    #[must_use]
    pub fn watch_gateway(&self, gateway: &GatewayId) -> watch::Receiver<()> {
        self.0.new_for_gateway.subscribe(gateway)
    }

    /// From now on the receiver is changed whenever there is something new in an application's event
    /// log.
    #[must_use]
    pub fn watch_application(&self, application: &ApplicationId) -> watch::Receiver<()> {
        self.0.new_for_application.subscribe(application)
    }

    /// From now on the receiver is changed when a group request becomes complete.
    pub(crate) fn watch_request(&self, request: RequestId) -> watch::Receiver<()> {
        self.0.complete.subscribe(&request)
    }

    pub(crate) async fn deadline_added(&self) {
        self.0.new_deadline.notified().await;
    }

    pub(crate) async fn schedule_changed(&self) {
        self.0.new_schedule.notified().await;
    }

    /// What a group request would meet if it were accepted now; none if no allocation names the group.
    ///
    /// # Errors
    /// If the store cannot read.
    pub async fn foresee(
        &self,
        application: &ApplicationId,
        submitted: &Submitted,
    ) -> Result<Option<Foresight>, StoreError> {
        let groups = BTreeSet::from([submitted.group.clone()]);
        let standing = self.0.store.standing(application, groups).recv().await?;
        Ok(standing.map(|standing| foresee(submitted, standing, self.now())))
    }

    /// Accepts a group request, and says which one it is.
    ///
    /// # Errors
    /// If the rules refuse it or the store cannot take it.
    pub async fn submit(
        &self,
        application: &ApplicationId,
        idempotency_key: Option<IdempotencyKey>,
        submitted: Submitted,
    ) -> Result<RequestId, SubmitError> {
        loop {
            let submit = Submit {
                application: application.clone(),
                id: RequestId::compose(self.now(), secret::number()?),
                idempotency_key: idempotency_key.clone(),
                schedule: None,
                submitted: submitted.clone(),
            };
            match self.perform(submit).await {
                // One of this very millisecond has the same random part: the next one will not.
                Err(Failure::Refused(SubmitRefusal::IdTaken)) => {}
                result => {
                    let id = result?;
                    self.counters().count(|counts| counts.requests += 1);
                    return Ok(id);
                }
            }
        }
    }
}
