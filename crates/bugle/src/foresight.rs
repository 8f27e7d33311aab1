//! What a group request would meet, in words.

use bugle_api::{Foresight, LateMember};

use crate::output::{count, facts, table};
use crate::when::Wall;

/// Members that a warning names.
const NAMED_MAX: usize = 3;

/// What a request would meet if it were sent now.
pub(crate) fn describe(foresight: &Foresight) -> String {
    let Foresight { members, active, woken, waiting, skipped, late, late_members } = foresight;
    let head = facts([
        ("members", Some(members.to_string())),
        ("get it at once", Some(active.to_string())),
        ("would be woken", Some(woken.to_string())),
        ("would wait", Some(waiting.to_string())),
        ("left out", (*skipped > 0).then(|| skipped.to_string())),
        ("would miss it", Some(late.to_string())),
    ]);
    if late_members.is_empty() {
        return head;
    }
    let wall = Wall::here();
    let rows = late_members.iter().map(|late| [name(late), wall.tell(late.next_wake)]);
    let late = table(["would miss it", "next wake"], rows, "");
    format!("{head}\n\n{late}")
}

/// Who is not expected to wake in time; nothing if everybody is.
pub(crate) fn warning(foresight: Option<&Foresight>) -> Option<String> {
    let foresight = foresight.filter(|foresight| foresight.late > 0)?;
    let mut named: Vec<String> = foresight.late_members.iter().take(NAMED_MAX).map(name).collect();
    let unnamed = foresight.late - named.len() as u64;
    if unnamed > 0 {
        named.push(format!("and {unnamed} more"));
    }
    let members = count(foresight.late, "member");
    Some(format!("warning: {members} may miss it, expected to wake only after the deadline: {}", named.join(", ")))
}

fn name(late: &LateMember) -> String {
    format!("{}/{}", late.gateway, late.peripheral)
}

#[cfg(test)]
mod tests {
    use bugle_core::Time;

    use super::*;

    fn foresight(late: u64) -> Foresight {
        let member = |number: u64| LateMember {
            gateway: "east".parse().expect("a gateway id"),
            peripheral: format!("m{number}").parse().expect("a peripheral id"),
            next_wake: Time::MAX,
        };
        Foresight {
            members: 9,
            active: 9 - late,
            woken: late,
            late,
            late_members: (0..late).map(member).collect(),
            ..Foresight::default()
        }
    }

    #[test]
    fn a_warning_names_some_and_counts_all() {
        assert_eq!(warning(Some(&foresight(0))), None);
        assert!(warning(Some(&foresight(1))).is_some_and(|text| text.ends_with("deadline: east/m0")));
        let many = warning(Some(&foresight(5))).expect("a warning");
        assert!(many.contains("5 members") && many.ends_with("east/m2, and 2 more"), "{many}");
    }

    #[test]
    fn those_that_would_miss_it_are_listed_if_there_are_any() {
        assert!(!describe(&foresight(0)).contains("NEXT WAKE"));
        let shown = describe(&foresight(2));
        assert!(shown.contains("WOULD MISS IT  NEXT WAKE") && shown.contains("east/m1"), "{shown}");
    }
}
