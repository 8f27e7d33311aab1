//! Peripherals that show a certificate.

use super::super::*;
use super::world::{World, allocation, application, peripheral, yes};
use crate::certificate::CertificateChain;
use crate::certificate::tests::Authority;
use crate::{Allocation, Credential, Evidence, UpEntry};

/// A certificate of this name, and every time another.
fn certificate(name: &str) -> CertificateChain {
    Authority::new().chain_of(name)
}

fn shown(chain: &CertificateChain) -> Presented {
    Presented { transport: Some(TransportIdentity::Certificate(chain.clone())), ..Presented::default() }
}

fn certified(id: &str, subject: Option<&str>) -> Allocation {
    let subject = subject.map(str::to_owned);
    Allocation { credential: Some(Credential::Certificate { subject }), ..allocation(id, &["g"]) }
}

/// What the application was shown, each time that it was asked.
fn evidence(world: &World) -> Vec<Evidence> {
    let asked = |entry| match entry {
        UpEntry::RegistrationAsked { application: asked_of, asked } => {
            assert_eq!(asked_of, application());
            Some(asked.evidence)
        }
        _ => None,
    };
    world.up().into_iter().filter_map(asked).collect()
}

#[test]
fn the_application_sees_the_chain_as_it_was_shown() {
    let mut world = World::new(vec![certified("p", None), certified("q", Some("alias"))]);
    let (own, alias) = (certificate("p"), certificate("alias"));
    world.ask_with("p", shown(&own));
    world.ask_with("q", shown(&alias));
    let expected = |chain| Evidence { attested: true, certificates: Some(chain), ..Evidence::default() };
    assert_eq!(evidence(&world), [expected(own), expected(alias)]);
}

#[test]
fn whoever_has_the_certificate_of_another_is_refused() {
    let mut world = World::new(vec![certified("p", None), allocation("open", &["g"])]);
    for (id, name) in [("p", "q"), ("open", "p"), ("open", "open")] {
        let asker = world.ask_with(id, shown(&certificate(name)));
        assert!(world.effects.contains(&Effect::Refused { asker, refusal: Refusal::Credential }), "{id} {name}");
    }
    let unreadable = CertificateChain::new([b"no certificate".to_vec()]).expect("a chain");
    let asker = world.ask_with("p", shown(&unreadable));
    assert!(world.effects.contains(&Effect::Refused { asker, refusal: Refusal::Credential }));
    assert_eq!(evidence(&world), []);
}

#[test]
fn the_application_sees_another_certificate_of_the_same_name_even_under_a_lease() {
    let mut world = World::new(vec![certified("p", None)]);
    let (first, second) = (certificate("p"), certificate("p"));
    world.ask_with("p", shown(&first));
    world.decide("p", yes(&["g"]));
    world.ask_with("p", shown(&first));
    assert_eq!(evidence(&world).len(), 1);
    world.ask_with("p", shown(&second));
    let last = evidence(&world).pop().and_then(|evidence| evidence.certificates);
    assert_eq!(last, Some(second));
}

#[test]
fn a_certificate_names_its_holder() {
    let world = World::new(vec![certified("p", None)]);
    let name = |name| world.gateway.name_by_transport(&TransportIdentity::Certificate(certificate(name)));
    assert_eq!(name("p"), Some(peripheral("p")));
    assert_eq!(name("stranger"), Some(peripheral("stranger")));
    assert_eq!(name("no / name"), None);
}
