//! Ways to break a promise with a few words of code.

/// A change of the code that breaks a promise.
pub(crate) struct Mutation {
    /// What it breaks, in a few words.
    pub(crate) what: &'static str,
    /// In which file.
    pub(crate) file: &'static str,
    /// What stands there, once.
    pub(crate) from: &'static str,
    /// What stands there instead.
    pub(crate) to: &'static str,
}

const fn mutation(what: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutation {
    Mutation { what, file, from, to }
}

/// All that the simulation must find.
pub(crate) const MUTATIONS: &[Mutation] = &[
    mutation(
        "do before it is persisted",
        "crates/core/src/gateway/outbox.rs",
        "queue.pop_front_if(|(ticket, _)| *ticket <= persisted)",
        "queue.pop_front_if(|(ticket, _)| *ticket <= persisted.max(*ticket))",
    ),
    mutation(
        "acknowledge a report before it is persisted",
        "crates/edge/src/mqtt/mod.rs",
        "Topic::Report(name) => self.gateway.handle_report(now, slot, name.into_string(), content, token),",
        "Topic::Report(name) => {
                self.on_taken(now, token);
                self.gateway.handle_report(now, slot, name.into_string(), content, token);
            }",
    ),
    mutation(
        "take entries of the down log twice",
        "crates/core/src/gateway/mod.rs",
        "if sequence <= self.down_applied {",
        "if sequence == 0 {",
    ),
    mutation(
        "take entries of the up log twice",
        "crates/core/src/platform/up_log.rs",
        "if *sequence <= applied.up_applied {",
        "if *sequence == 0 {",
    ),
    mutation(
        "trim the up log early",
        "crates/core/src/gateway/up_log.rs",
        "Some(Change::UpTrimmed { through })",
        "Some(Change::UpTrimmed { through: self.last })",
    ),
    mutation(
        "forget at the gateway that a request is cancelled",
        "crates/core/src/gateway/stopping.rs",
        "if !std::mem::replace(&mut taken.is_stopped, true) {
            self.outbox.record(Change::Cancelled { request });
        }",
        "let _ = taken;",
    ),
    mutation(
        "tell only one gateway of a cancellation",
        "crates/core/src/platform/cancellation.rs",
        "for gateway in gateways {
            work.send(&gateway, DownEntry::Cancel { request: self.request, cause: StopCause::Cancelled });",
        "for gateway in gateways.into_iter().take(1) {
            work.send(&gateway, DownEntry::Cancel { request: self.request, cause: StopCause::Cancelled });",
    ),
    mutation("send a repetition as new", "crates/core/src/gateway/distribution.rs", "waiting.is_repeat = true;", ""),
    mutation(
        "store no outcomes of members",
        "crates/core/src/gateway/outbox.rs",
        "self.record(Change::Settled(Settlement { request, slots: gathered.slots }));",
        "drop(gathered.slots);",
    ),
    mutation(
        "leave open what waited for who left",
        "crates/core/src/gateway/deregistration.rs",
        "self.settle_left(now, slot, registration.waiting);",
        "",
    ),
    mutation(
        "let nothing expire at its deadline",
        "crates/core/src/gateway/mod.rs",
        "Timer::Deadline => self.on_deadlines(now),",
        "Timer::Deadline => {}",
    ),
    mutation(
        "give out numbers of registrations again after a restart",
        "crates/core/src/gateway/restore.rs",
        "gateway.registrations = Numbers::after(restored.registrations_reserved);",
        "",
    ),
    mutation(
        "tell nobody of askings that a crash cut off",
        "crates/core/src/gateway/restore.rs",
        "gateway.end_lost_ask(now, slot, registration);",
        "let _ = (slot, registration);",
    ),
    mutation(
        "put any decision in force, whichever asking it is about",
        "crates/core/src/gateway/registration.rs",
        "self.asks.get(slot).filter(|ask| ask.registration == registration)",
        "self.asks.get(slot)",
    ),
    mutation(
        "let in who is blocked",
        "crates/core/src/gateway/registration.rs",
        "if peripheral.is_blocked {",
        "if false {",
    ),
    mutation(
        "deliver what was settled meanwhile",
        "crates/core/src/gateway/distribution.rs",
        "let leaves = self.set_out(now, slot, delivery);",
        "let leaves = self.set_out(now, slot, delivery) || delivery != 0;",
    ),
    mutation(
        "complete a request before all gateways have told their members",
        "crates/core/src/platform/rows.rs",
        "self.gateways_fixed == self.gateways && self.totals.waiting() == 0",
        "self.gateways_fixed > 0 && self.totals.waiting() == 0",
    ),
    mutation(
        "let who roams stay where it was",
        "crates/core/src/platform/registration.rs",
        "work.send(&gateway, entry);",
        "drop(entry);",
    ),
    mutation(
        "route no requests to who has registered",
        "crates/core/src/platform/registration.rs",
        "row.member_of = changed.groups.clone();",
        "",
    ),
    mutation(
        "keep who has left in the group configuration",
        "crates/core/src/application/configuration.rs",
        "self.drop_registration(peripheral, gateway, ended.registration, changes);",
        "let _ = gateway;",
    ),
    mutation(
        "forget when deliveries and wake-ups left",
        "crates/core/src/gateway/pacing.rs",
        "            rate.left.push_back(now);",
        "            rate.left.push_back(Time::ZERO);",
    ),
    mutation(
        "forget after a crash that something left just before",
        "crates/core/src/gateway/pacing.rs",
        "rate.unknown_until = now + rate.per;",
        "rate.unknown_until = now;",
    ),
    mutation(
        "have one delivery more under way than is allowed",
        "crates/core/src/gateway/pacing.rs",
        "self.in_flight >= max)",
        "self.in_flight > max)",
    ),
    mutation(
        "send a wake-up while another may work",
        "crates/core/src/gateway/activation.rs",
        "let until = waker.effort().map(|effort| now + effort.time_limit);",
        "let until = waker.effort().map(|_| now);",
    ),
    mutation(
        "wake who has woken meanwhile",
        "crates/core/src/gateway/activation.rs",
        "let leaves = wanted.is_some();",
        "let leaves = true;",
    ),
    mutation(
        "forget after a crash that a wake-up may work",
        "crates/core/src/gateway/activation.rs",
        "let until = self.effort(slot).map(|effort| now + effort.time_limit);",
        "let until = self.effort(slot).map(|_| now);",
    ),
    mutation(
        "let the newer of two requests go first",
        "crates/core/src/gateway/registry.rs",
        "rposition(|other| other.priority <= waiting.priority)",
        "rposition(|other| other.priority < waiting.priority)",
    ),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_mutation_is_of_code_that_is_there_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in the workspace");
        for Mutation { what, file, from, to } in MUTATIONS {
            let text = fs::read_to_string(root.join(file)).expect("the file is there");
            assert_eq!(text.matches(from).count(), 1, "{what}: {file}");
            assert_ne!(from, to, "{what}");
        }
    }
}
