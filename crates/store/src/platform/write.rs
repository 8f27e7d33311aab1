//! Writes what a procedure has decided.

use bugle_core::platform::{
    ApplicationGroup, Changes, GroupDelta, Membership, PeripheralKey, PeripheralRow, Put, RequestGatewayRow,
    RequestRow, RequestState, Submitted,
};
use bugle_core::{GatewayId, PeripheralId, RegistrationId, RequestId, ScheduleId, Stranger, Time, limits};

use super::News;
use super::column::{json, millis, word};
use super::members::Members;
use super::names::Names;
use super::{down_log, event_log, nesting, schedules};
use crate::sqlite::{Connection, StoreError, params};

const INSERT_PERIPHERAL: &str = "INSERT INTO peripheral (gateway, id, application, groups, initial_state, labels, \
     origin, state, registration, member_of, presence, since, next_wake, asked, decided, roamed, description, \
     wakes) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
/// Leaves the indexed columns alone: set to what they are, they would still be taken out of their
/// indexes and put back.
const UPDATE_PERIPHERAL: &str = "UPDATE peripheral SET groups = ?4, initial_state = ?5, labels = ?6, origin = ?7, \
     state = ?8, registration = ?9, member_of = ?10, presence = ?11, since = ?12, next_wake = ?13, asked = ?14, \
     decided = ?15, roamed = ?16, description = ?17, wakes = ?18 WHERE gateway = ?1 AND id = ?2 AND application = ?3";

const INSERT_REQUEST: &str = "INSERT INTO request (number, application, \"group\", operation, activation, sleepers, \
     receipt, accepted_at, deadline, state, completed_at, gateways, gateways_fixed, totals, stages, \
     schedule, late_joiners, contained, priority, pacing, abort, collapse_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";

/// Writes `changes`, and says for whom there is something new.
pub(super) fn write<'c>(
    connection: &'c Connection,
    members: &mut Members<'c>,
    changes: &Changes,
    now: Time,
) -> Result<News, StoreError> {
    let mut writer = Writer { connection, names: Names::new(connection), members, now };
    writer.write_peripherals(changes)?;
    writer.write_requests(changes)?;
    for put in &changes.nestings {
        nesting::write(connection, &mut writer.names, put)?;
    }
    for put in &changes.schedules {
        schedules::write(connection, &mut writer.names, put)?;
    }
    writer.write_strangers(changes)?;
    if let Some((gateway, up_applied)) = &changes.up_applied {
        let sql = "UPDATE gateway SET up_applied = ?2 WHERE id = ?1";
        writer.execute(sql, params![gateway.as_str(), up_applied])?;
    }
    event_log::append(connection, &mut writer.names, &changes.events)?;
    down_log::append(connection, &mut writer.names, &changes.down)?;
    Ok(News {
        gateways: changes.down.iter().map(|(gateway, _)| gateway.clone()).collect(),
        applications: changes.events.iter().map(|(application, _)| application.clone()).collect(),
        complete: complete(changes).collect(),
        deadlines: !changes.submitted.is_empty(),
        schedules: !changes.schedules.is_empty(),
    })
}

fn complete(changes: &Changes) -> impl Iterator<Item = RequestId> {
    let is_complete =
        |put: &&Put<RequestId, RequestRow>| put.row.as_ref().is_some_and(|row| row.state == RequestState::Complete);
    changes.requests.iter().filter(is_complete).map(|put| put.key)
}

struct Writer<'c, 'm> {
    connection: &'c Connection,
    names: Names<'c>,
    members: &'m mut Members<'c>,
    now: Time,
}

impl Writer<'_, '_> {
    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn write_peripherals(&mut self, changes: &Changes) -> Result<(), StoreError> {
        for application in &changes.applications {
            self.names.ensure_application(application, self.now)?;
        }
        // Places refer to peripherals: they go first and come last.
        for membership in changes.memberships.iter().filter(|membership| membership.share.is_none()) {
            self.write_place(membership)?;
        }
        for put in &changes.peripherals {
            self.write_peripheral(put)?;
        }
        for membership in changes.memberships.iter().filter(|membership| membership.share.is_some()) {
            self.write_place(membership)?;
        }
        for ((group, gateway), delta) in &changes.groups {
            self.add_to_count(group, gateway, *delta)?;
        }
        Ok(())
    }

    fn write_peripheral(&mut self, put: &Put<PeripheralKey, PeripheralRow>) -> Result<(), StoreError> {
        let (gateway, id) = &put.key;
        let gateway = self.names.known_gateway(gateway)?;
        let Some(row) = &put.row else {
            return self
                .execute("DELETE FROM peripheral WHERE gateway = ?1 AND id = ?2", params![gateway, id.as_str()]);
        };
        let application = self.names.known_application(&row.application)?;
        if put.is_new {
            return self.write_columns(INSERT_PERIPHERAL, (gateway, id, application), row).map(drop);
        }
        if self.write_columns(UPDATE_PERIPHERAL, (gateway, id, application), row)? == 0 {
            let sql = "UPDATE peripheral SET application = ?3 WHERE gateway = ?1 AND id = ?2";
            self.execute(sql, params![gateway, id.as_str(), application])?;
            self.write_columns(UPDATE_PERIPHERAL, (gateway, id, application), row)?;
        }
        Ok(())
    }

    /// Binds the columns of a peripheral to a statement, and says how many rows it has changed.
    fn write_columns(
        &self,
        sql: &str,
        (gateway, id, application): (i64, &PeripheralId, i64),
        row: &PeripheralRow,
    ) -> Result<usize, StoreError> {
        let number = |registration: Option<RegistrationId>| registration.map(RegistrationId::number);
        let columns = params![
            gateway,
            id.as_str(),
            application,
            json(&row.groups)?,
            word(&row.initial_state)?,
            json(&row.labels)?,
            word(&row.origin)?,
            row.state().as_str(),
            number(row.registration),
            json(&row.member_of)?,
            row.presence.as_str(),
            millis(row.since),
            row.next_wake.map(millis),
            row.asked.as_ref().map(json).transpose()?,
            number(row.decided),
            number(row.roamed),
            row.description.as_ref().map(json).transpose()?,
            row.wakes.as_ref().map(word).transpose()?,
        ];
        Ok(self.connection.prepare_cached(sql)?.execute(columns)?)
    }

    fn write_place(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let group = self.names.ensure_group(&membership.group)?;
        let (gateway, id) = &membership.peripheral;
        let gateway = self.names.known_gateway(gateway)?;
        match membership.share {
            Some(share) => self.execute(
                r#"INSERT INTO place ("group", peripheral, is_allocated, is_member)
                   SELECT ?1, number, ?4, ?5 FROM peripheral WHERE gateway = ?2 AND id = ?3
                   ON CONFLICT DO UPDATE SET is_allocated = excluded.is_allocated, is_member = excluded.is_member"#,
                params![group, gateway, id.as_str(), share.allocated, share.members],
            ),
            None => self.execute(
                r#"DELETE FROM place WHERE "group" = ?1
                   AND peripheral = (SELECT number FROM peripheral WHERE gateway = ?2 AND id = ?3)"#,
                params![group, gateway, id.as_str()],
            ),
        }
    }

    fn add_to_count(&mut self, group: &ApplicationGroup, at: &GatewayId, delta: GroupDelta) -> Result<(), StoreError> {
        let group = self.names.ensure_group(group)?;
        let gateway = self.names.known_gateway(at)?;
        self.execute(
            r#"INSERT INTO group_gateway ("group", gateway, allocated, members, active) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET allocated = allocated + excluded.allocated,
                   members = members + excluded.members, active = active + excluded.active"#,
            params![group, gateway, delta.allocated, delta.members, delta.active],
        )?;
        self.execute(
            r#"DELETE FROM group_gateway WHERE "group" = ?1 AND gateway = ?2 AND allocated = 0 AND members = 0"#,
            params![group, gateway],
        )
    }

    fn write_requests(&mut self, changes: &Changes) -> Result<(), StoreError> {
        for put in &changes.requests {
            let Some(row) = &put.row else { continue };
            match changes.submitted.iter().find(|(id, _)| *id == put.key) {
                Some((_, submitted)) => self.add_request(put.key, row, submitted)?,
                None => self.update_request(put.key, row)?,
            }
        }
        for put in &changes.request_gateways {
            let (request, gateway) = &put.key;
            let gateway = self.names.known_gateway(gateway)?;
            let Some(RequestGatewayRow { is_fixed, recorded_to }) = &put.row else { continue };
            let recorded_to = recorded_to.as_ref().map(|peripheral| peripheral.as_str());
            self.execute(
                "INSERT OR REPLACE INTO request_gateway VALUES (?1, ?2, ?3, ?4)",
                params![request.number(), gateway, is_fixed, recorded_to],
            )?;
        }
        for (part, puts) in &changes.members {
            let (request, gateway) = (part.0, self.names.known_gateway(&part.1)?);
            self.members.put((request, gateway), puts)?;
        }
        if let Some((application, key, request)) = &changes.idempotency {
            let application = self.names.known_application(application)?;
            self.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4)",
                params![application, key.as_str(), request.number(), millis(self.now)],
            )?;
        }
        Ok(())
    }

    fn add_request(&mut self, id: RequestId, row: &RequestRow, submitted: &Submitted) -> Result<(), StoreError> {
        let application = self.names.known_application(&row.application)?;
        self.execute(
            INSERT_REQUEST,
            params![
                id.number(),
                application,
                row.group.as_str(),
                json(&submitted.operation)?,
                word(&submitted.activation)?,
                word(&submitted.sleepers)?,
                word(&submitted.receipt)?,
                millis(row.accepted_at),
                millis(row.deadline),
                row.state.as_str(),
                row.completed_at.map(millis),
                row.gateways,
                row.gateways_fixed,
                json(&row.totals)?,
                json(&row.stages)?,
                row.schedule.as_ref().map(ScheduleId::as_str),
                word(&submitted.late_joiners)?,
                json(&row.contained)?,
                word(&submitted.priority)?,
                json(&submitted.pacing)?,
                submitted.abort.as_ref().map(json).transpose()?,
                submitted.collapse_key.as_ref().map(|key| key.as_str()),
            ],
        )
    }

    fn update_request(&self, id: RequestId, row: &RequestRow) -> Result<(), StoreError> {
        self.execute(
            "UPDATE request SET state = ?2, completed_at = ?3, gateways_fixed = ?4, totals = ?5, stages = ?6,
                gateways = ?7 WHERE number = ?1",
            params![
                id.number(),
                row.state.as_str(),
                row.completed_at.map(millis),
                row.gateways_fixed,
                json(&row.totals)?,
                json(&row.stages)?,
                row.gateways,
            ],
        )
    }

    fn write_strangers(&mut self, changes: &Changes) -> Result<(), StoreError> {
        for (gateway, peripheral) in &changes.adopted {
            let gateway = self.names.known_gateway(gateway)?;
            let sql = "DELETE FROM stranger WHERE gateway = ?1 AND peripheral = ?2";
            self.execute(sql, params![gateway, peripheral.as_str()])?;
        }
        for (gateway, Stranger { peripheral, protocol, address, at }) in &changes.strangers {
            let gateway = self.names.known_gateway(gateway)?;
            // A new number moves it to the front of the list.
            self.execute(
                "INSERT OR REPLACE INTO stranger (gateway, peripheral, protocol, address, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![gateway, peripheral.as_str(), word(protocol)?, address, millis(*at)],
            )?;
            let newest = self.connection.last_insert_rowid();
            let gone = newest.saturating_sub(limits::STRANGERS_MAX as i64);
            self.execute("DELETE FROM stranger WHERE number <= ?1", params![gone])?;
        }
        Ok(())
    }
}
