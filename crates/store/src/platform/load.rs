//! Loads the rows that a procedure needs.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::platform::{
    ApplicationGroup, Closing, GroupCount, IdempotencyKey, IdempotencyRow, Needs, PartKey, PeripheralKey, Work,
};
use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId, RequestId};

use super::column::{from_json, from_word, json, plain, time};
use super::list::{MemberCursor, MembersShown};
use super::members::{self, Members};
use super::names::Names;
use super::row::{self, select_peripherals, select_requests};
use super::{nesting, schedules};
use crate::sqlite::{Connection, Row, StoreError, params};

pub(super) fn load<'c>(
    connection: &'c Connection,
    members: &mut Members<'c>,
    needs: &Needs,
) -> Result<Work, StoreError> {
    let mut loader = Loader { connection, names: Names::new(connection), members, work: Work::default() };
    loader.load_who(needs)?;
    loader.load_requests(needs)?;
    Ok(loader.work)
}

/// Runs a statement that finds at most one row.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    key: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    rows.next()?.map(read).transpose()
}

/// Runs a statement that finds any number of rows.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    key: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

struct Loader<'c, 'm> {
    connection: &'c Connection,
    names: Names<'c>,
    members: &'m mut Members<'c>,
    work: Work,
}

impl Loader<'_, '_> {
    fn load_who(&mut self, needs: &Needs) -> Result<(), StoreError> {
        for gateway in &needs.gateways {
            self.load_gateway(gateway)?;
        }
        for application in &needs.applications {
            let is_there = self.names.application(application)?.is_some();
            self.work.load_application(application.clone(), is_there);
        }
        for key in &needs.peripherals {
            self.load_peripheral(key)?;
        }
        for (application, peripheral) in &needs.namesakes {
            self.load_namesakes(needs, application, peripheral)?;
        }
        for group in &needs.groups {
            self.load_group(group)?;
        }
        for group in &needs.whole_groups {
            let contained = match self.names.group(group)? {
                Some(number) => nesting::contained(self.connection, number)?,
                None => BTreeSet::new(),
            };
            for inner in &contained {
                self.load_group(&(group.0.clone(), inner.clone()))?;
            }
            self.load_group(group)?;
            self.work.load_contained(group.clone(), contained);
        }
        if let Some(application) = &needs.nestings_of {
            nesting::all_of(self.connection, application)?.into_iter().for_each(|key| self.work.load_nesting(key));
        }
        Ok(())
    }

    fn load_group(&mut self, group: &ApplicationGroup) -> Result<(), StoreError> {
        let mut counts = BTreeMap::new();
        if let Some(number) = self.names.group(group)? {
            let sql = r#"SELECT group_gateway.*, gateway.id AS gateway_id FROM group_gateway
                JOIN gateway ON gateway.number = group_gateway.gateway WHERE "group" = ?1"#;
            counts.extend(all(self.connection, sql, [number], |row| Ok((from_word(row, "gateway_id")?, count(row)?)))?);
        }
        for gateway in counts.keys() {
            self.load_gateway(gateway)?;
        }
        self.work.load_group(group.clone(), counts);
        Ok(())
    }

    fn load_gateway(&mut self, gateway: &GatewayId) -> Result<(), StoreError> {
        let found = one(self.connection, "SELECT * FROM gateway WHERE id = ?1", [gateway.as_str()], row::gateway)?;
        self.work.load_gateway(gateway.clone(), found);
        Ok(())
    }

    fn load_peripheral(&mut self, key: &PeripheralKey) -> Result<(), StoreError> {
        let found = match self.names.gateway(&key.0)? {
            Some(gateway) => {
                let sql = select_peripherals!("WHERE peripheral.gateway = ?1 AND peripheral.id = ?2");
                one(self.connection, sql, params![gateway, key.1.as_str()], row::peripheral)?
            }
            None => None,
        };
        self.work.load_peripheral(key.clone(), found.map(|(_, row)| row));
        Ok(())
    }

    fn load_namesakes(
        &mut self,
        needs: &Needs,
        application: &ApplicationId,
        peripheral: &PeripheralId,
    ) -> Result<(), StoreError> {
        let mut gateways: Vec<GatewayId> = Vec::new();
        if let Some(number) = self.names.application(application)? {
            let sql = "SELECT gateway.id FROM peripheral JOIN gateway ON gateway.number = peripheral.gateway
                WHERE peripheral.application = ?1 AND peripheral.id = ?2";
            gateways = all(self.connection, sql, params![number, peripheral.as_str()], |row| from_word(row, "id"))?;
            for gateway in &gateways {
                let key = (gateway.clone(), peripheral.clone());
                if !needs.peripherals.contains(&key) {
                    self.load_peripheral(&key)?;
                }
            }
        }
        self.work.load_namesakes((application.clone(), peripheral.clone()), gateways);
        Ok(())
    }

    fn load_requests(&mut self, needs: &Needs) -> Result<(), StoreError> {
        for request in &needs.requests {
            let sql = select_requests!("WHERE request.number = ?1");
            let found = one(self.connection, sql, [request.number()], row::request)?;
            if needs.abortable.contains(request) && found.as_ref().is_some_and(|(_, row)| row.is_abortable()) {
                self.load_all_gateways(*request)?;
            }
            self.work.load_request(*request, found.map(|(_, row)| row));
        }
        for (request, gateway) in &needs.request_gateways {
            let number = self.names.gateway(gateway)?;
            let sql = "SELECT request_gateway.*, gateway.id AS gateway_id FROM request_gateway
                JOIN gateway ON gateway.number = gateway WHERE request = ?1 AND gateway = ?2";
            let found = one(self.connection, sql, params![request.number(), number], row::request_gateway)?;
            self.work.load_request_gateway((*request, gateway.clone()), found.map(|(_, row)| row));
        }
        for request in &needs.request_all_gateways {
            self.load_all_gateways(*request)?;
        }
        for key in &needs.joinable {
            self.load_joinable(key)?;
        }
        for (part, peripherals) in &needs.members {
            self.load_members(part, peripherals)?;
        }
        if let Some((application, key)) = &needs.idempotency {
            self.load_idempotency(application, key)?;
        }
        for key in &needs.schedules {
            self.work.load_schedule(key.clone(), schedules::find(self.connection, key)?);
        }
        if let Some(application) = &needs.schedules_of {
            self.work.load_schedules_of(schedules::count(self.connection, application)?);
        }
        match &needs.closing {
            Some(closing) => self.load_closing(closing),
            None => Ok(()),
        }
    }

    fn load_all_gateways(&mut self, request: RequestId) -> Result<(), StoreError> {
        let sql = "SELECT request_gateway.*, gateway.id AS gateway_id FROM request_gateway
            JOIN gateway ON gateway.number = gateway WHERE request = ?1";
        for (gateway, row) in all(self.connection, sql, [request.number()], row::request_gateway)? {
            self.load_gateway(&gateway)?;
            self.work.load_request_gateway((request, gateway), Some(row));
        }
        Ok(())
    }

    fn load_joinable(&mut self, key: &(ApplicationId, GatewayId)) -> Result<(), StoreError> {
        let (Some(application), Some(gateway)) = (self.names.application(&key.0)?, self.names.gateway(&key.1)?) else {
            return Ok(());
        };
        // What is open is little; all that an application has asked in a week is much.
        let sql = select_requests!(
            "WHERE +request.application = ?1 AND completed_at IS NULL AND deadline > 0
                AND state = 'open' AND late_joiners = 'include'
                AND NOT EXISTS (SELECT 1 FROM request_gateway AS part
                    WHERE part.request = request.number AND part.gateway = ?2)"
        );
        let read = |row: &Row<'_>| Ok((row::request(row)?, row::submitted(row)?));
        for ((request, row), submitted) in all(self.connection, sql, params![application, gateway], read)? {
            self.work.load_request(request, Some(row));
            self.work.load_joinable(key.clone(), request, submitted);
        }
        Ok(())
    }

    fn load_members(&mut self, part: &PartKey, peripherals: &BTreeSet<PeripheralId>) -> Result<(), StoreError> {
        let found = match self.names.gateway(&part.1)? {
            Some(gateway) => self.members.find((part.0, gateway), peripherals)?,
            None => peripherals.iter().map(|peripheral| (peripheral.clone(), None)).collect(),
        };
        self.work.load_members(part.clone(), found);
        Ok(())
    }

    fn load_idempotency(&mut self, application: &ApplicationId, key: &IdempotencyKey) -> Result<(), StoreError> {
        let Some(number) = self.names.application(application)? else { return Ok(()) };
        let sql = "SELECT request.*, idempotency.at FROM idempotency
            JOIN request ON request.number = idempotency.request
            WHERE idempotency.application = ?1 AND idempotency.key = ?2";
        let read = |row: &Row<'_>| {
            let request = row::request_id(row, "number")?;
            Ok(IdempotencyRow { request, at: time(row, "at")?, submitted: row::submitted(row)? })
        };
        if let Some(row) = one(self.connection, sql, params![number, key.as_str()], read)? {
            self.work.load_idempotency(row);
        }
        Ok(())
    }

    fn load_closing(&mut self, closing: &Closing) -> Result<(), StoreError> {
        self.load_unsettled(closing)?;
        let sql = r#"SELECT request_gateway.*, gateway.id AS gateway_id, request."group", request.contained,
                application.id AS application_id
            FROM request_gateway JOIN gateway ON gateway.number = request_gateway.gateway
            JOIN request ON request.number = request_gateway.request
            JOIN application ON application.number = request.application
            WHERE request_gateway.request = ?1 AND NOT is_fixed ORDER BY request_gateway.gateway LIMIT 1"#;
        let read = |row: &Row<'_>| -> Result<_, StoreError> {
            let (gateway, part) = row::request_gateway(row)?;
            let groups: BTreeSet<GroupId> = from_json(row, "contained")?;
            let groups = groups.into_iter().chain([from_word(row, "group")?]).collect::<Vec<GroupId>>();
            Ok((
                gateway,
                part.recorded_to,
                plain::<i64>(row, "gateway")?,
                from_word::<ApplicationId>(row, "application_id")?,
                groups,
            ))
        };
        let unfixed = one(self.connection, sql, [closing.request.number()], read)?;
        let Some((gateway, recorded_to, number, application, groups)) = unfixed else { return Ok(()) };
        let mut numbers = Vec::new();
        for group in groups {
            numbers.extend(self.names.group(&(application.clone(), group))?);
        }
        let sql = r#"SELECT peripheral.id FROM peripheral
            WHERE peripheral.gateway = ?2 AND peripheral.id > ?3 AND EXISTS (SELECT 1 FROM place
                WHERE place.peripheral = peripheral.number AND is_member
                AND place."group" IN (SELECT value FROM json_each(?1)))
            ORDER BY peripheral.id LIMIT ?4"#;
        let after = recorded_to.as_ref().map_or("", PeripheralId::as_str);
        let key = params![json(&numbers)?, number, after, closing.page];
        let page: Vec<PeripheralId> = all(self.connection, sql, key, |row| from_word(row, "id"))?;
        self.load_members(&(closing.request, gateway.clone()), &page.iter().cloned().collect())?;
        self.work.load_on_record(gateway, page);
        Ok(())
    }

    fn load_unsettled(&mut self, closing: &Closing) -> Result<(), StoreError> {
        let mut after = MemberCursor::default();
        if let Some((gateway, peripheral)) = &closing.after {
            let gateway = self.names.gateway(gateway)?.unwrap_or_default();
            after = MemberCursor { gateway, peripheral: peripheral.to_string() };
        }
        let page = members::list(self.connection, closing.request, MembersShown::Waiting, &after, closing.page as u32)?;
        let mut unsettled = Vec::new();
        for (_, (gateway, peripheral, row)) in page {
            self.work.load_members((closing.request, gateway.clone()), [(peripheral.clone(), Some(row))]);
            unsettled.push((gateway, peripheral));
        }
        self.work.load_unsettled(unsettled);
        Ok(())
    }
}

/// The count of a group at a gateway.
pub(super) fn count(row: &Row<'_>) -> Result<GroupCount, StoreError> {
    Ok(GroupCount {
        allocated: plain(row, "allocated")?,
        members: plain(row, "members")?,
        active: plain(row, "active")?,
    })
}
