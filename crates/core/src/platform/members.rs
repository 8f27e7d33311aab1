//! The members of one part of a group request, as they were loaded and as they are to be.

use super::{MemberRow, Put};
use crate::PeripheralId;

/// In ascending order: they are loaded by the thousand, and mostly changed one after another.
#[derive(Debug, Default)]
pub(super) struct Members {
    slots: Vec<Slot>,
    /// Behind the one that was found last.
    next: usize,
}

#[derive(Debug)]
struct Slot {
    id: PeripheralId,
    row: Option<MemberRow>,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Added,
    Altered,
}

impl Members {
    /// Adds peripherals that are members or are none; what is loaded twice is as it was loaded last.
    pub(super) fn load(&mut self, rows: impl IntoIterator<Item = (PeripheralId, Option<MemberRow>)>) {
        let known = self.slots.len().saturating_sub(1);
        self.slots.extend(rows.into_iter().map(|(id, row)| Slot { id, row, change: Change::None }));
        if !self.slots[known..].is_sorted_by(|one, other| one.id < other.id) {
            self.slots.reverse();
            self.slots.sort_by(|one, other| one.id.cmp(&other.id));
            self.slots.dedup_by(|one, other| one.id == other.id);
        }
    }

    /// A member, to be changed, if it is as asked.
    pub(super) fn get_mut_if(
        &mut self,
        id: &PeripheralId,
        is_asked: impl FnOnce(&MemberRow) -> bool,
    ) -> Option<&mut MemberRow> {
        let slot = self.find(id);
        let row = slot.row.as_mut().filter(|row| is_asked(row))?;
        if slot.change == Change::None {
            slot.change = Change::Altered;
        }
        Some(row)
    }

    /// Makes a peripheral a member, and says whether it was none.
    pub(super) fn add(&mut self, id: &PeripheralId, row: MemberRow) -> bool {
        let slot = self.find(id);
        if slot.row.is_some() {
            return false;
        }
        (slot.row, slot.change) = (Some(row), Change::Added);
        true
    }

    fn find(&mut self, id: &PeripheralId) -> &mut Slot {
        let is_next = self.slots.get(self.next).is_some_and(|slot| slot.id == *id);
        let place = if is_next { Ok(self.next) } else { self.slots.binary_search_by(|slot| slot.id.cmp(id)) };
        let place = place.expect("a procedure's needs name every member that it reads or changes");
        self.next = place + 1;
        &mut self.slots[place]
    }

    /// Those that are not as they were loaded.
    pub(super) fn into_puts(self) -> Vec<Put<PeripheralId, MemberRow>> {
        let changed = self.slots.into_iter().filter(|slot| slot.change != Change::None);
        changed.map(|Slot { id, row, change }| Put { key: id, is_new: change == Change::Added, row }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Time};

    const NOW: Time = Time::from_millis(1_000);

    fn id(text: &str) -> PeripheralId {
        text.parse().expect("a peripheral id")
    }

    #[test]
    fn what_is_changed_is_put_in_order_and_nothing_else() {
        let mut members = Members::default();
        members.load([(id("b"), Some(MemberRow::told(NOW))), (id("d"), None)]);
        members.load([(id("a"), None), (id("c"), Some(MemberRow::told(NOW)))]);
        members.load([(id("e"), Some(MemberRow::told(NOW)))]);
        assert!(members.add(&id("d"), MemberRow::told(NOW)));
        assert!(!members.add(&id("c"), MemberRow::told(NOW)));
        assert!(members.get_mut_if(&id("a"), |_| true).is_none());
        assert!(members.get_mut_if(&id("e"), |row| !row.is_waiting()).is_none());
        members.get_mut_if(&id("b"), MemberRow::is_waiting).expect("it waits").outcome = Some((Outcome::Left, NOW));
        members.get_mut_if(&id("d"), MemberRow::is_waiting).expect("it waits").outcome = Some((Outcome::Left, NOW));
        let left = MemberRow { outcome: Some((Outcome::Left, NOW)), ..MemberRow::told(NOW) };
        let put = |text, is_new| Put { key: id(text), is_new, row: Some(left.clone()) };
        assert_eq!(members.into_puts(), [put("b", false), put("d", true)]);
    }

    #[test]
    fn what_is_loaded_twice_is_as_it_was_loaded_last() {
        let mut members = Members::default();
        members.load([(id("a"), None), (id("b"), None)]);
        members.load([(id("a"), Some(MemberRow::told(NOW)))]);
        assert!(members.get_mut_if(&id("a"), |_| true).is_some());
        assert!(members.get_mut_if(&id("b"), |_| true).is_none());
    }
}
