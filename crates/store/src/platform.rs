//! What the platform keeps: its rows, its logs, and who may come in.
//!
//! [`PlatformStore::perform`] runs a procedure of [`bugle_core::platform`]: it loads what the
//! procedure needs, lets it decide and writes what it decided, in one transaction. The rest are the
//! logs, what is listed and who may come in, none of which has rules of its own.

mod access;
mod column;
#[cfg(test)]
mod conformance;
mod down_log;
mod event_log;
mod list;
mod load;
mod members;
mod names;
mod nesting;
mod retention;
mod row;
mod schedules;
mod standing;
mod write;

use std::collections::BTreeSet;
use std::path::Path;

use bugle_core::platform::{
    GroupCount, PeripheralKey, PeripheralRow, Procedure, RequestState, ScheduleKey, ScheduleRow, Standing,
};
use bugle_core::{ApplicationId, DownEntry, EventKind, GatewayId, GroupId, RequestId, ScheduleId, Stranger, Time};
use thiserror::Error;

pub use access::{Hash, TokenRow};
pub use event_log::EventLog;
pub use list::{
    ApplicationRecord, Belonging, GatewayRecord, MemberCursor, MemberCursorError, MemberRecord, MembersShown,
    NestingRecord, Numbered, PeripheralFilter, RequestRecord,
};

use crate::sqlite::{Answer, Connection, Database, Layout, Measures, OpenError, StoreError};
use members::Members;
use names::Names;

const LAYOUT: Layout = Layout {
    kind: "platform",
    application_id: 0x4275_6750, // BugP
    cache_kib: 32_768,
    migrations: &[
        include_str!("platform/tables.sql"),
        include_str!("platform/progress.sql"),
        include_str!("platform/schedules.sql"),
        include_str!("platform/members.sql"),
        include_str!("platform/manner.sql"),
        include_str!("platform/wakes.sql"),
        include_str!("platform/pages.sql"),
        include_str!("platform/receipts.sql"),
    ],
};

/// Tables with nothing in them.
#[cfg(test)]
fn tables() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    LAYOUT.migrations.iter().for_each(|migration| connection.execute_batch(migration).expect("sound"));
    connection
}

/// The platform's store. Closed when dropped.
#[derive(Debug)]
pub struct PlatformStore {
    database: Database,
}

/// A procedure was performed and is on disk.
#[derive(Debug)]
pub struct Performed<T> {
    /// What whoever asked is told.
    pub answer: T,
    /// For whom there is something new.
    pub news: News,
}

/// For whom there is something new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// Gateways with new entries in their down logs.
    pub gateways: BTreeSet<GatewayId>,
    /// Applications with new events.
    pub applications: BTreeSet<ApplicationId>,
    /// Group requests that are complete.
    pub complete: BTreeSet<RequestId>,
    /// There is a new deadline to keep.
    pub deadlines: bool,
    /// There is a new time at which a schedule is due.
    pub schedules: bool,
}

/// Why a procedure was not performed.
#[derive(Debug, Error)]
pub enum Failure<R> {
    /// The rules refuse it.
    #[error("refused: {0}")]
    Refused(R),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlatformStore {
    /// Opens the store at `path`, creating it if need be.
    ///
    /// # Errors
    /// If another process has it open, it is damaged, of another kind or of a later release, or the
    /// disk does not let it be opened.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Database::open(path, &LAYOUT).map(|database| Self { database })
    }

    /// How it is doing.
    #[must_use]
    pub fn measures(&self) -> Measures {
        self.database.measures()
    }

    /// Performs a procedure. The answer comes when what it decided is on disk.
    pub fn perform<P>(&self, procedure: P, now: Time) -> Answer<Performed<P::Answer>, Failure<P::Refusal>>
    where
        P: Procedure + Send + 'static,
        P::Answer: Send + 'static,
        P::Refusal: Send + 'static,
    {
        self.database.write(move |connection| {
            let mut members = Members::new(connection);
            let mut work = load::load(connection, &mut members, &procedure.needs())?;
            let answer = procedure.decide(&mut work, now).map_err(Failure::Refused)?;
            let news = write::write(connection, &mut members, &work.into_changes(), now)?;
            Ok(Performed { answer, news })
        })
    }

    fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T, StoreError> {
        self.database.read(job)
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T, StoreError> {
        self.database.write(job)
    }

    /// Whether something can be stored: writes, and waits for the disk.
    pub fn probe(&self) -> Answer<(), StoreError> {
        self.write(|connection| Ok(connection.pragma_update(None, "user_version", LAYOUT.migrations.len() as i64)?))
    }
}

/// The logs.
impl PlatformStore {
    /// Events after a sequence, or all that are kept, of these kinds or of all; none if the application is unknown. No
    /// more than `limit`, and none after the one that reaches `bytes_max`, so that what is read is small whatever the
    /// events hold.
    pub fn events(
        &self,
        application: &ApplicationId,
        after: Option<u64>,
        kinds: Option<BTreeSet<EventKind>>,
        (limit, bytes_max): (u32, usize),
    ) -> Answer<Option<EventLog>, StoreError> {
        let application = application.clone();
        self.read(move |connection| {
            let number = Names::new(connection).application(&application)?;
            let bounds = (limit, bytes_max);
            number.map(|number| event_log::read_after(connection, number, after, kinds.as_ref(), bounds)).transpose()
        })
    }

    /// Entries of a gateway's down log after a sequence; none if the gateway is unknown.
    pub fn down(&self, gateway: &GatewayId, after: u64, limit: u32) -> Answer<Vec<(u64, DownEntry)>, StoreError> {
        let gateway = gateway.clone();
        self.read(move |connection| match Names::new(connection).gateway(&gateway)? {
            Some(number) => down_log::read_after(connection, number, after, limit),
            None => Ok(Vec::new()),
        })
    }

    /// A gateway has its down log on disk up to `through`; that part of it goes.
    pub fn acknowledge_down(&self, gateway: &GatewayId, through: u64) -> Answer<(), StoreError> {
        let gateway = gateway.clone();
        self.write(move |connection| match Names::new(connection).gateway(&gateway)? {
            Some(number) => down_log::acknowledge(connection, number, through),
            None => Ok(()),
        })
    }
}

/// What the clock brings.
impl PlatformStore {
    /// The group request that ends next, and its deadline.
    pub fn next_deadline(&self) -> Answer<Option<(RequestId, Time)>, StoreError> {
        self.read(retention::next_deadline)
    }

    /// The schedule that is due next, and when.
    pub fn next_schedule(&self) -> Answer<Option<(ScheduleKey, ScheduleRow, Time)>, StoreError> {
        self.read(schedules::next)
    }

    /// How many group requests have not ended.
    pub fn open_requests(&self) -> Answer<u64, StoreError> {
        self.read(retention::open_requests)
    }

    /// Removes a page of what is over age, and says whether there may be more.
    pub fn forget(&self, now: Time) -> Answer<bool, StoreError> {
        self.write(move |connection| retention::forget(connection, now))
    }

    /// The link of a gateway is up now.
    pub fn see_gateway(&self, gateway: &GatewayId, now: Time) -> Answer<(), StoreError> {
        let gateway = gateway.clone();
        self.write(move |connection| {
            let sql = "UPDATE gateway SET last_seen = ?2 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute((gateway.as_str(), column::millis(now)))?;
            Ok(())
        })
    }
}

/// Who may come in.
impl PlatformStore {
    /// Adds an application if it is not there.
    pub fn add_application(&self, id: &ApplicationId, now: Time) -> Answer<(), StoreError> {
        let id = id.clone();
        self.write(move |connection| Names::new(connection).ensure_application(&id, now).map(drop))
    }

    /// Adds a token by the hash of its secret; none if its application is unknown.
    pub fn add_token(&self, hash: Hash, token: TokenRow) -> Answer<Option<i64>, StoreError> {
        self.write(move |connection| access::add_token(connection, &hash, &token))
    }

    /// The token whose secret has this hash.
    pub fn token(&self, hash: Hash) -> Answer<Option<TokenRow>, StoreError> {
        self.read(move |connection| access::token_of(connection, &hash))
    }

    /// Tokens, by number.
    pub fn tokens(&self, after: i64, limit: u32) -> Answer<Numbered<TokenRow>, StoreError> {
        self.read(move |connection| access::tokens(connection, after, limit))
    }

    /// Removes a token, and says whether it was there.
    pub fn remove_token(&self, number: i64) -> Answer<bool, StoreError> {
        self.write(move |connection| access::remove_token(connection, number))
    }

    /// Adds a gateway if it is not there, and an enrolment token for it by the hash of its secret.
    pub fn add_enrollment(
        &self,
        hash: Hash,
        gateway: &GatewayId,
        expires_at: Time,
        now: Time,
    ) -> Answer<(), StoreError> {
        let gateway = gateway.clone();
        self.write(move |connection| access::add_enrollment(connection, &hash, &gateway, expires_at, now))
    }

    /// The gateway that an enrolment token is for, and until when it is good.
    pub fn enrollment(&self, hash: Hash) -> Answer<Option<(GatewayId, Time)>, StoreError> {
        self.read(move |connection| access::enrollment(connection, &hash))
    }

    /// Uses an enrolment token up: from now on its gateway connects with the certificate of this
    /// hash. False if the token was used up before.
    pub fn enrol(&self, hash: Hash, certificate: Hash) -> Answer<bool, StoreError> {
        self.write(move |connection| access::enrol(connection, &hash, &certificate))
    }
}

/// What is shown.
impl PlatformStore {
    /// Applications, by number.
    pub fn applications(&self, after: i64, limit: u32) -> Answer<Numbered<ApplicationRecord>, StoreError> {
        self.read(move |connection| list::applications(connection, after, limit))
    }

    /// An application.
    pub fn application(&self, id: &ApplicationId) -> Answer<Option<ApplicationRecord>, StoreError> {
        let id = id.clone();
        self.read(move |connection| list::application_of(connection, &id))
    }

    /// Gateways, by number.
    pub fn gateways(&self, after: i64, limit: u32) -> Answer<Numbered<GatewayRecord>, StoreError> {
        self.read(move |connection| list::gateways(connection, after, limit))
    }

    /// A gateway.
    pub fn gateway(&self, id: &GatewayId) -> Answer<Option<GatewayRecord>, StoreError> {
        let id = id.clone();
        self.read(move |connection| list::gateway_of(connection, &id))
    }

    /// Strangers, the latest first, before a number.
    pub fn strangers(&self, before: i64, limit: u32) -> Answer<Numbered<(GatewayId, Stranger)>, StoreError> {
        self.read(move |connection| list::strangers(connection, before, limit))
    }

    /// Peripherals, by number.
    pub fn peripherals(
        &self,
        filter: PeripheralFilter,
        after: i64,
        limit: u32,
    ) -> Answer<Numbered<(PeripheralKey, PeripheralRow)>, StoreError> {
        self.read(move |connection| list::peripherals(connection, &filter, after, limit))
    }

    /// Peripherals of a group and of all that it contains, each once, by number. The filter's application counts for nothing.
    pub fn peripherals_of_group(
        &self,
        application: &ApplicationId,
        group: &GroupId,
        belonging: Belonging,
        filter: PeripheralFilter,
        after: i64,
        limit: u32,
    ) -> Answer<Numbered<(PeripheralKey, PeripheralRow)>, StoreError> {
        let (application, group) = (application.clone(), group.clone());
        self.read(move |connection| {
            list::peripherals_of_group(connection, (&application, &group), belonging, &filter, after, limit)
        })
    }

    /// A peripheral.
    pub fn peripheral(&self, key: PeripheralKey) -> Answer<Option<PeripheralRow>, StoreError> {
        self.read(move |connection| list::peripheral_of(connection, &key))
    }

    /// Peripherals that are registered or await a decision, by number, and the sequence of an event
    /// that they are at least as new as; none if the application is unknown.
    #[expect(clippy::type_complexity, reason = "a page and a number")]
    pub fn snapshot(
        &self,
        application: &ApplicationId,
        after: i64,
        limit: u32,
    ) -> Answer<Option<(u64, Numbered<(PeripheralKey, PeripheralRow)>)>, StoreError> {
        let application = application.clone();
        self.read(move |connection| {
            let Some(record) = list::application_of(connection, &application)? else { return Ok(None) };
            Ok(Some((record.event_last, list::present(connection, &application, after, limit)?)))
        })
    }

    /// The groups of an application that allocations name or that contain groups, by number.
    pub fn groups(
        &self,
        application: &ApplicationId,
        after: i64,
        limit: u32,
    ) -> Answer<Numbered<(GroupId, GroupCount)>, StoreError> {
        let application = application.clone();
        self.read(move |connection| list::groups(connection, &application, after, limit))
    }

    /// Where the peripherals of a group are; nowhere if no allocation names it.
    pub fn group(
        &self,
        application: &ApplicationId,
        group: &GroupId,
    ) -> Answer<Vec<(GatewayId, GroupCount)>, StoreError> {
        let (application, group) = (application.clone(), group.clone());
        self.read(move |connection| list::group_gateways(connection, (&application, &group)))
    }

    /// Where a group lies among others.
    pub fn nesting(&self, application: &ApplicationId, group: &GroupId) -> Answer<NestingRecord, StoreError> {
        let (application, group) = (application.clone(), group.clone());
        self.read(move |connection| list::nesting_of(connection, (&application, &group)))
    }

    /// The registered members of groups and of all that they contain, each once; none if no allocation names
    /// any of these groups.
    pub fn standing(
        &self,
        application: &ApplicationId,
        groups: BTreeSet<GroupId>,
    ) -> Answer<Option<Standing>, StoreError> {
        let application = application.clone();
        self.read(move |connection| standing::standing(connection, &application, &groups))
    }

    /// A group request.
    pub fn request(&self, application: &ApplicationId, id: RequestId) -> Answer<Option<RequestRecord>, StoreError> {
        let application = application.clone();
        self.read(move |connection| list::request_of(connection, &application, id))
    }

    /// Group requests, the latest first, before one.
    pub fn requests(
        &self,
        application: &ApplicationId,
        group: Option<GroupId>,
        state: Option<RequestState>,
        before: Option<RequestId>,
        limit: u32,
    ) -> Answer<Vec<RequestRecord>, StoreError> {
        let application = application.clone();
        self.read(move |connection| list::requests(connection, &application, group.as_ref(), state, before, limit))
    }

    /// A schedule.
    pub fn schedule(&self, key: &ScheduleKey) -> Answer<Option<ScheduleRow>, StoreError> {
        let key = key.clone();
        self.read(move |connection| schedules::find(connection, &key))
    }

    /// Schedules of an application, by id, after one.
    pub fn schedules(
        &self,
        application: &ApplicationId,
        after: String,
        limit: u32,
    ) -> Answer<Vec<(ScheduleId, ScheduleRow)>, StoreError> {
        let application = application.clone();
        self.read(move |connection| schedules::list(connection, &application, &after, limit))
    }

    /// Members of a group request.
    pub fn members(
        &self,
        id: RequestId,
        shown: MembersShown,
        after: MemberCursor,
        limit: u32,
    ) -> Answer<Vec<(MemberCursor, MemberRecord)>, StoreError> {
        self.read(move |connection| members::list(connection, id, shown, &after, limit))
    }
}
