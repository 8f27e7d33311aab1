//! The members of group requests.
//!
//! A request has many members, and most of what is done with them is done with neighbours: they are told by the
//! thousand and settled by the thousand. So they lie by the page, as many in one row as fit into a page of the file. The
//! members of a part are in ascending order, and its pages do not overlap: the first page that does not end before a
//! peripheral is the only one that it can be on.

mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bugle_core::platform::{MemberRow, Put};
use bugle_core::{GatewayId, PeripheralId, RequestId};

use super::column::{damaged, from_word, plain, text};
use super::list::{MemberCursor, MemberRecord, MembersShown};
use crate::sqlite::{CachedStatement, Connection, Row, StoreError, params};
use line::Line;

/// Bytes of a page that holds more than one member: SQLite keeps them in one page of the file.
const PAGE_BYTES_MAX: usize = 4_000;
/// Members on a page, so that it has room for their outcomes.
const PAGE_MEMBERS_MAX: usize = 24;

/// The part of a request at the gateway with this number.
pub(super) type Part = (RequestId, i64);

/// Peripherals, and the members that they are.
type Found = Vec<(PeripheralId, Option<MemberRow>)>;

/// The members on one page.
struct Page {
    number: i64,
    /// One in each line.
    members: String,
    /// Where the id of the last of them is.
    last: Range<usize>,
}

impl Page {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let members: String = plain(row, "members")?;
        let begins = members.rfind('\n').map_or(0, |at| at + 1);
        let last = begins..begins + line::id(&members[begins..]).len();
        Ok(Self { number: plain(row, "number")?, members, last })
    }

    fn first(&self) -> &str {
        line::id(&self.members)
    }

    fn last(&self) -> &str {
        &self.members[self.last.clone()]
    }

    /// The members that these peripherals are, which are asked for in ascending order.
    fn find<'p>(&self, asked: impl Iterator<Item = &'p PeripheralId>, found: &mut Found) -> Result<(), StoreError> {
        let mut lines = lines(&self.members).peekable();
        for peripheral in asked {
            let asked = peripheral.as_str();
            while lines.next_if(|(id, _)| *id < asked).is_some() {}
            let line = lines.next_if(|(id, _)| *id == asked);
            found.push((peripheral.clone(), line.map(|(_, line)| Line::read(line).row()).transpose()?));
        }
        Ok(())
    }
}

/// The lines of a page, each with who it is about.
fn lines(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split('\n').filter(|line| !line.is_empty()).map(|line| (line::id(line), line))
}

fn last_id(members: &str) -> &str {
    members.rsplit('\n').next().map_or("", line::id)
}

/// Finds the pages of a part.
struct Pages<'c> {
    part: Part,
    not_before: CachedStatement<'c>,
    last: CachedStatement<'c>,
}

impl<'c> Pages<'c> {
    fn of(part: Part, connection: &'c Connection) -> Result<Self, StoreError> {
        let not_before = "SELECT number, members FROM member_page WHERE request = ?1 AND gateway = ?2 AND last >= ?3
            ORDER BY last LIMIT 1";
        let last =
            "SELECT number, members FROM member_page WHERE request = ?1 AND gateway = ?2 ORDER BY last DESC LIMIT 1";
        let (not_before, last) = (connection.prepare_cached(not_before)?, connection.prepare_cached(last)?);
        Ok(Self { part, not_before, last })
    }

    /// The first that does not end before a peripheral: the only one that it can be on.
    fn not_before(&mut self, peripheral: &str) -> Result<Option<Page>, StoreError> {
        let mut rows = self.not_before.query(params![self.part.0.number(), self.part.1, peripheral])?;
        rows.next()?.map(Page::read).transpose()
    }

    fn last(&mut self) -> Result<Option<Page>, StoreError> {
        let mut rows = self.last.query(params![self.part.0.number(), self.part.1])?;
        rows.next()?.map(Page::read).transpose()
    }
}

/// Members as a transaction finds and puts them. It reads no page twice.
pub(super) struct Members<'c> {
    connection: &'c Connection,
    /// What was read to find members of a part, in ascending order.
    read: BTreeMap<Part, Vec<Page>>,
}

impl<'c> Members<'c> {
    pub(super) const fn new(connection: &'c Connection) -> Self {
        Self { connection, read: BTreeMap::new() }
    }

    /// The members of a part that these peripherals are, or that they are none.
    pub(super) fn find(&mut self, part: Part, peripherals: &BTreeSet<PeripheralId>) -> Result<Found, StoreError> {
        let mut pages = Pages::of(part, self.connection)?;
        let mut read = Vec::new();
        let mut found = Vec::with_capacity(peripherals.len());
        let mut asked = peripherals.iter().peekable();
        while let Some(first) = asked.peek() {
            let Some(page) = pages.not_before(first.as_str())? else { break };
            let here = std::iter::from_fn(|| asked.next_if(|peripheral| peripheral.as_str() <= page.last()));
            page.find(here, &mut found)?;
            read.push(page);
        }
        found.extend(asked.map(|peripheral| (peripheral.clone(), None)));
        self.read.insert(part, read);
        Ok(found)
    }

    /// Writes members of a part, which are in ascending order.
    pub(super) fn put(&mut self, part: Part, mut puts: &[Put<PeripheralId, MemberRow>]) -> Result<(), StoreError> {
        let mut pages = Pages::of(part, self.connection)?;
        let mut read = self.read.remove(&part).unwrap_or_default().into_iter().peekable();
        while let Some(first) = puts.first() {
            let id = first.key.as_str();
            while read.next_if(|page| page.last() < id).is_some() {}
            let page = match read.next_if(|page| page.first() <= id) {
                None => pages.not_before(id)?,
                read => read,
            };
            let is_here = |put: &Put<PeripheralId, _>, page: &Page| put.key.as_str() <= page.last();
            let here = page.as_ref().map_or(puts.len(), |page| puts.partition_point(|put| is_here(put, page)));
            let (here, behind) = puts.split_at(here);
            let page = match page {
                // They go behind all others.
                None => pages.last()?,
                page => page,
            };
            write_page(self.connection, part, page, here)?;
            puts = behind;
        }
        Ok(())
    }
}

/// Writes a page with these members on it, on as many pages as it takes.
fn write_page(
    connection: &Connection,
    (request, gateway): Part,
    page: Option<Page>,
    puts: &[Put<PeripheralId, MemberRow>],
) -> Result<(), StoreError> {
    let lines = merge(page.as_ref().map_or("", |page| &page.members), puts)?;
    let mut pages: Vec<&str> = divide(&lines).collect();
    if let Some(page) = &page
        && let Some(members) = pages.pop()
    {
        let last = last_id(members);
        // Its place in the index is looked after only where it changes.
        let sql = match page.last() == last {
            true => "UPDATE member_page SET members = ?3 WHERE number = ?1 AND last = ?2",
            false => "UPDATE member_page SET last = ?2, members = ?3 WHERE number = ?1",
        };
        connection.prepare_cached(sql)?.execute(params![page.number, last, members])?;
    }
    let sql = "INSERT INTO member_page (request, gateway, last, members) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = connection.prepare_cached(sql)?;
    for members in pages {
        insert.execute(params![request.number(), gateway, last_id(members), members])?;
    }
    Ok(())
}

/// The lines of a page and those of members that are put there, which count.
fn merge(page: &str, puts: &[Put<PeripheralId, MemberRow>]) -> Result<String, StoreError> {
    let mut kept = self::lines(page).peekable();
    let mut lines = String::with_capacity(page.len() + 128 * puts.len());
    for put in puts {
        let Some(row) = &put.row else { continue };
        let id = put.key.as_str();
        while let Some((_, line)) = kept.next_if(|(kept, _)| *kept < id) {
            line::separate(&mut lines);
            lines.push_str(line);
        }
        kept.next_if(|(kept, _)| *kept == id);
        line::separate(&mut lines);
        line::write(&mut lines, &put.key, row)?;
    }
    for (_, line) in kept {
        line::separate(&mut lines);
        lines.push_str(line);
    }
    Ok(lines)
}

/// Divides lines among pages that hold them, about the same on each.
fn divide(lines: &str) -> impl Iterator<Item = &str> {
    let members = lines.split('\n').count();
    let pages = members.div_ceil(PAGE_MEMBERS_MAX).max(lines.len().div_ceil(PAGE_BYTES_MAX)).max(1);
    let (members, bytes) = (members.div_ceil(pages), lines.len().div_ceil(pages));
    let mut rest = lines;
    std::iter::from_fn(move || {
        let mut ends = rest.match_indices('\n').map(|(at, _)| at).zip(1..);
        let end = ends.find(|(at, lines)| *at >= bytes || *lines == members).map_or(rest.len(), |(at, _)| at);
        let (page, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        (!page.is_empty()).then_some(page)
    })
}

/// Members of a request in the order of their gateways and ids, after one of them.
pub(super) fn list(
    connection: &Connection,
    request: RequestId,
    shown: MembersShown,
    after: &MemberCursor,
    limit: u32,
) -> Result<Vec<(MemberCursor, MemberRecord)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT gateway, members, gateway.id AS gateway_id FROM member_page
        JOIN gateway ON gateway.number = member_page.gateway
        WHERE request = ?1 AND (gateway, last) > (?2, ?3) ORDER BY gateway, last",
    )?;
    let mut rows = statement.query(params![request.number(), after.gateway, after.peripheral])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let gateway: i64 = plain(row, "gateway")?;
        let gateway_id: GatewayId = from_word(row, "gateway_id")?;
        let lines = text(row, "members")?.split('\n').map(Line::read);
        let is_after = |line: &Line<'_>| (gateway, line.id()) > (after.gateway, after.peripheral.as_str());
        for line in lines.filter(|line| is_after(line) && line.is_shown(shown)) {
            if listed.len() == limit as usize {
                return Ok(listed);
            }
            let peripheral = line.id().parse().map_err(|error| damaged("members", &error))?;
            let cursor = MemberCursor { gateway, peripheral: line.id().to_owned() };
            listed.push((cursor, (gateway_id.clone(), peripheral, line.row()?)));
        }
    }
    Ok(listed)
}

/// Removes members of a request, about so many, and says whether these were all.
pub(super) fn forget(connection: &Connection, request: RequestId, count: usize) -> Result<bool, StoreError> {
    let pages_max = count.div_ceil(PAGE_MEMBERS_MAX);
    let sql = "DELETE FROM member_page WHERE number IN (SELECT number FROM member_page WHERE request = ?1 LIMIT ?2)";
    let pages = connection.prepare_cached(sql)?.execute(params![request.number(), pages_max])?;
    Ok(pages < pages_max)
}
