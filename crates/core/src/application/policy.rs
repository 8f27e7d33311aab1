//! The authorizer that is shipped: ordered rules, of which the first that fits decides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use super::authorizer::{Authorizer, Decision, RegistrationQuestion};
use super::pattern::Patterns;
use super::token::PublicKey;
use crate::certificate::{KeyPurpose, TrustAnchors};
use crate::credential::PasswordVerifier;
use crate::{ApplicationId, Evidence, PeripheralId, Time};

/// What a policy is written as: rules in order, and what the peripherals' evidence is checked against.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRules {
    /// The rules, in order.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// What the password of a peripheral is checked against.
    #[serde(default)]
    pub passwords: BTreeMap<PeripheralId, PasswordVerifier>,
    /// The public keys of peripherals.
    #[serde(default)]
    pub public_keys: BTreeMap<PeripheralId, PublicKey>,
    /// Who vouches for peripherals with a certificate.
    #[serde(default)]
    pub certificates: CertificateRules,
}

/// Who vouches for peripherals with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRules {
    /// The files with the authorities' certificates, in PEM. Whoever reads the policy reads them too.
    #[serde(default)]
    pub authorities: Vec<PathBuf>,
}

/// One rule of a policy: for whom it is, and what it asks and gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The peripherals that it is for.
    pub peripherals: Patterns,
    /// The gateways through which it is for them.
    #[serde(default = "Patterns::all")]
    pub gateways: Patterns,
    /// The groups that they may join.
    pub groups: Patterns,
    /// What must show who they are.
    pub evidence: RequiredEvidence,
    /// Whether a person has the last word.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// How long the gateway may re-admit them on its own, in seconds.
    #[serde(default, with = "crate::serde_seconds")]
    pub lease: Duration,
}

/// What must show who a peripheral is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredEvidence {
    /// Nothing: whoever names the peripheral is taken for it.
    None,
    /// The gateway's word that it has checked the credential of the allocation.
    Attested,
    /// Knowledge of the peripheral's password, checked here.
    Password,
    /// A token signed with the peripheral's key, checked here.
    PublicKey,
    /// A certificate that names the peripheral, from an authority that is trusted here.
    Certificate,
}

/// Whether a person has the last word about a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// The rule alone decides.
    #[default]
    Automatic,
    /// A person approves the peripheral once.
    Manual,
}

/// What is wrong with a policy as a whole. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A rule asks a peripheral that it names for a password that nobody could check.
    #[error("the rule asks {peripheral} for its password, but [passwords] has no entry for it")]
    NoPassword {
        /// Which rule, counted from 0.
        rule: usize,
        /// Whose password.
        peripheral: String,
    },
    /// A rule asks a peripheral that it names for a token that nobody could check.
    #[error("the rule asks {peripheral} for a signed token, but [public_keys] has no entry for it")]
    NoPublicKey {
        /// Which rule, counted from 0.
        rule: usize,
        /// Whose key.
        peripheral: String,
    },
    /// A rule asks for certificates, and nobody's are trusted.
    #[error("the rule asks for a certificate, but [certificates] names no authorities")]
    NoAuthority {
        /// Which rule, counted from 0.
        rule: usize,
    },
}

impl PolicyError {
    /// Which rule is wrong, counted from 0.
    #[must_use]
    pub const fn rule(&self) -> usize {
        match self {
            Self::NoPassword { rule, .. } | Self::NoPublicKey { rule, .. } | Self::NoAuthority { rule } => *rule,
        }
    }
}

/// Ordered rules that authenticate and authorize the peripherals of one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    application: ApplicationId,
    rules: PolicyRules,
    authorities: Option<TrustAnchors>,
}

impl Policy {
    /// The policy of `application` with these rules, and these authorities of the peripherals' certificates.
    ///
    /// # Errors
    /// If a rule asks a peripheral that it names, or for a certificate anyone at all, for evidence that nothing
    /// is there to check with.
    pub fn new(
        application: ApplicationId,
        rules: PolicyRules,
        authorities: Option<TrustAnchors>,
    ) -> Result<Self, PolicyError> {
        for (number, rule) in rules.rules.iter().enumerate() {
            if rule.evidence == RequiredEvidence::Certificate && authorities.is_none() {
                return Err(PolicyError::NoAuthority { rule: number });
            }
            for peripheral in rule.peripherals.exact() {
                let named = || peripheral.to_owned();
                match rule.evidence {
                    RequiredEvidence::Password if !rules.passwords.contains_key(peripheral) => {
                        return Err(PolicyError::NoPassword { rule: number, peripheral: named() });
                    }
                    RequiredEvidence::PublicKey if !rules.public_keys.contains_key(peripheral) => {
                        return Err(PolicyError::NoPublicKey { rule: number, peripheral: named() });
                    }
                    _ => {}
                }
            }
        }
        Ok(Self { application, rules, authorities })
    }

    /// Checks that the evidence shows what the rule asks for; if it does not, says why.
    fn authenticate(
        &self,
        now: Time,
        required: RequiredEvidence,
        question: &RegistrationQuestion<'_>,
    ) -> Result<(), String> {
        let RegistrationQuestion { gateway, asked } = question;
        let evidence = &asked.evidence;
        match required {
            RequiredEvidence::None => Ok(()),
            RequiredEvidence::Attested if evidence.attested => Ok(()),
            RequiredEvidence::Attested => Err("the gateway has no credential to attest the peripheral by".into()),
            RequiredEvidence::Password => {
                let verifier = self.rules.passwords.get(&asked.peripheral);
                let verifier = verifier.ok_or("the policy has no password for the peripheral")?;
                let proof = evidence.password.as_ref().ok_or("the peripheral showed no password")?;
                let is_proven = verifier.is_proven_by(proof, gateway, asked.registration);
                if is_proven { Ok(()) } else { Err("the password is wrong".into()) }
            }
            RequiredEvidence::PublicKey => {
                let key = self.rules.public_keys.get(&asked.peripheral);
                let key = key.ok_or("the policy has no public key for the peripheral")?;
                let token = evidence.token.as_deref().ok_or("the peripheral showed no token")?;
                key.verify(token, now, &asked.peripheral, &self.application, gateway).map_err(|error| error.to_string())
            }
            RequiredEvidence::Certificate => self.authenticate_by_certificate(now, &asked.peripheral, evidence),
        }
    }

    /// That the peripheral has the key of the certificate, its gateway has seen.
    fn authenticate_by_certificate(
        &self,
        now: Time,
        peripheral: &PeripheralId,
        evidence: &Evidence,
    ) -> Result<(), String> {
        let authorities = self.authorities.as_ref().ok_or("the policy names no authorities")?;
        let chain = evidence.certificates.as_ref().ok_or("the peripheral showed no certificate")?;
        let verified = authorities.verify(now, chain, KeyPurpose::ClientAuthentication);
        verified.map_err(|error| error.to_string())?;
        let is_its_own = chain.is_of(peripheral.as_str());
        if is_its_own { Ok(()) } else { Err("the certificate is of another".into()) }
    }
}

impl Authorizer for Policy {
    fn authorize(&self, now: Time, question: &RegistrationQuestion<'_>) -> Decision {
        let RegistrationQuestion { gateway, asked } = question;
        let fits = |rule: &&Rule| {
            rule.peripherals.contains(asked.peripheral.as_str()) && rule.gateways.contains(gateway.as_str())
        };
        let Some(rule) = self.rules.rules.iter().find(fits) else {
            return Decision::refused("no rule of the policy is for this peripheral at this gateway");
        };
        if let Err(reason) = self.authenticate(now, rule.evidence, question) {
            return Decision::Refused { reason };
        }
        let groups = asked.groups.iter().filter(|group| rule.groups.contains(group.as_str())).cloned();
        let groups = groups.collect::<std::collections::BTreeSet<_>>();
        if groups.is_empty() {
            return Decision::refused("the policy lets the peripheral join none of its groups");
        }
        match rule.approval {
            ApprovalMode::Automatic => Decision::Authorized { groups, lease: rule.lease },
            ApprovalMode::Manual => Decision::Pending { groups, lease: rule.lease },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::certificate::tests::{Authority, NOW};
    use crate::credential::PasswordProof;
    use crate::{Description, Evidence, GatewayId, GroupId, Protocol, RegistrationAsked, RegistrationId};

    fn policy(json: &str) -> Policy {
        let rules = serde_json::from_str(json).expect("rules");
        Policy::new(ApplicationId::new("metering").expect("an application id"), rules, None).expect("a policy")
    }

    fn gateway(id: &str) -> GatewayId {
        GatewayId::new(id).expect("a gateway id")
    }

    fn asked(peripheral: &str, groups: &[&str], evidence: Evidence) -> RegistrationAsked {
        RegistrationAsked {
            peripheral: PeripheralId::new(peripheral).expect("a peripheral id"),
            registration: RegistrationId::new(7),
            groups: groups.iter().map(|group| GroupId::new(*group).expect("a group id")).collect(),
            evidence,
            description: Description {
                protocol: Protocol::Mqtt5,
                address: "192.0.2.1:1883".into(),
                lifetime: Duration::from_secs(60),
                objects: String::new(),
            },
        }
    }

    fn decide(policy: &Policy, at: &str, asked: &RegistrationAsked) -> Decision {
        policy.authorize(Time::ZERO, &RegistrationQuestion { gateway: &gateway(at), asked })
    }

    fn groups(decision: Decision) -> Vec<String> {
        match decision {
            Decision::Authorized { groups, .. } => groups.iter().map(GroupId::to_string).collect(),
            other => panic!("{other:?} where a yes was expected"),
        }
    }

    fn reason(decision: Decision) -> String {
        match decision {
            Decision::Refused { reason } => reason,
            other => panic!("{other:?} where a no was expected"),
        }
    }

    #[test]
    fn the_first_rule_for_the_peripheral_and_gateway_decides() {
        let policy = policy(
            r#"{"rule":[
                {"peripherals":"meter-9","groups":"none-of-them","evidence":"none"},
                {"peripherals":"meter-*","gateways":"west","groups":["west"],"evidence":"none"},
                {"peripherals":"meter-*","groups":"all","evidence":"none","lease":60}
            ]}"#,
        );
        let asked_by = |peripheral| asked(peripheral, &["east", "west"], Evidence::default());
        assert_eq!(groups(decide(&policy, "west", &asked_by("meter-1"))), ["west"]);
        assert_eq!(groups(decide(&policy, "east", &asked_by("meter-1"))), ["east", "west"]);
        assert!(reason(decide(&policy, "east", &asked_by("meter-9"))).contains("none of its groups"));
        assert!(reason(decide(&policy, "east", &asked_by("lamp-1"))).contains("no rule"));
    }

    #[test]
    fn a_rule_gives_its_lease_and_may_leave_the_last_word_to_a_person() {
        let policy = policy(
            r#"{"rule":[{"peripherals":"all","groups":"all","evidence":"none","approval":"manual","lease":60}]}"#,
        );
        let decision = decide(&policy, "gw", &asked("m1", &["g"], Evidence::default()));
        let groups = BTreeSet::from([GroupId::new("g").expect("a group id")]);
        assert_eq!(decision, Decision::Pending { groups, lease: Duration::from_secs(60) });
    }

    #[test]
    fn attestation_is_the_gateways_word() {
        let policy = policy(r#"{"rule":[{"peripherals":"all","groups":"all","evidence":"attested"}]}"#);
        let attested = Evidence { attested: true, ..Evidence::default() };
        assert_eq!(groups(decide(&policy, "gw", &asked("m1", &["g"], attested))), ["g"]);
        assert!(reason(decide(&policy, "gw", &asked("m1", &["g"], Evidence::default()))).contains("attest"));
    }

    #[test]
    fn a_password_is_proven_for_this_registration_at_this_gateway() {
        let verifier = PasswordVerifier::derive(&PeripheralId::new("m1").expect("a peripheral id"), b"secret");
        let policy = policy(&format!(
            r#"{{"rule":[{{"peripherals":"all","groups":"all","evidence":"password"}}],"passwords":{{"m1":"{verifier}"}}}}"#
        ));
        let shown = |proof: Option<PasswordProof>| {
            asked("m1", &["g"], Evidence { attested: true, password: proof, ..Evidence::default() })
        };
        let proof = verifier.prove(&gateway("gw"), RegistrationId::new(7));
        assert_eq!(groups(decide(&policy, "gw", &shown(Some(proof.clone())))), ["g"]);
        assert_eq!(reason(decide(&policy, "other", &shown(Some(proof)))), "the password is wrong");
        let stale = verifier.prove(&gateway("gw"), RegistrationId::new(6));
        assert_eq!(reason(decide(&policy, "gw", &shown(Some(stale)))), "the password is wrong");
        assert!(reason(decide(&policy, "gw", &shown(None))).contains("no password"));
        let unknown = asked("m2", &["g"], Evidence::default());
        assert!(reason(decide(&policy, "gw", &unknown)).contains("has no password"));
    }

    #[test]
    fn a_certificate_names_the_peripheral_and_is_from_an_authority_of_the_policy() {
        let json = r#"{"rule":[{"peripherals":"all","groups":"all","evidence":"certificate"}]}"#;
        let rules: PolicyRules = serde_json::from_str(json).expect("rules");
        let application = ApplicationId::new("metering").expect("an application id");
        let error = Policy::new(application.clone(), rules.clone(), None).expect_err("nobody's are trusted");
        assert_eq!(error, PolicyError::NoAuthority { rule: 0 });

        let (trusted, other) = (Authority::new(), Authority::new());
        let policy = Policy::new(application, rules, Some(trusted.anchors())).expect("a policy");
        let shown = |chain| Evidence { attested: true, certificates: chain, ..Evidence::default() };
        let decide = |chain| {
            let asked = asked("m1", &["g"], shown(chain));
            policy.authorize(NOW, &RegistrationQuestion { gateway: &gateway("gw"), asked: &asked })
        };
        assert_eq!(groups(decide(Some(trusted.chain_of("m1")))), ["g"]);
        assert!(reason(decide(Some(other.chain_of("m1")))).contains("no authority"));
        assert_eq!(reason(decide(Some(trusted.chain_of("m2")))), "the certificate is of another");
        assert_eq!(reason(decide(None)), "the peripheral showed no certificate");
        // By the wall clock's time.
        let asked = asked("m1", &["g"], shown(Some(trusted.chain_of("m1"))));
        let question = RegistrationQuestion { gateway: &gateway("gw"), asked: &asked };
        assert!(reason(policy.authorize(Time::ZERO, &question)).contains("not valid yet"));
    }

    #[test]
    fn a_rule_that_could_never_be_met_by_whom_it_names_is_refused() {
        for (evidence, expected) in [("password", "[passwords]"), ("public_key", "[public_keys]")] {
            let json = format!(
                r#"{{"rule":[{{"peripherals":"a-*","groups":"all","evidence":"none"}},
                    {{"peripherals":["a-*","m1"],"groups":"all","evidence":"{evidence}"}}]}}"#
            );
            let rules = serde_json::from_str(&json).expect("rules");
            let application = ApplicationId::new("a").expect("an application id");
            let error = Policy::new(application, rules, None).expect_err("nothing to check m1 by");
            assert_eq!(error.rule(), 1);
            assert!(error.to_string().contains(expected) && error.to_string().contains("m1"), "{error}");
        }
    }

    #[test]
    fn a_misspelt_word_is_refused() {
        for json in [
            r#"{"rules":[]}"#,
            r#"{"rule":[{"peripherals":"all","groups":"all","evidence":"trust"}]}"#,
            r#"{"rule":[{"peripherals":"all","groups":"all","evidence":"none","leese":1}]}"#,
            r#"{"rule":[{"peripherals":"all","groups":"all"}]}"#,
        ] {
            assert!(serde_json::from_str::<PolicyRules>(json).is_err(), "{json}");
        }
    }
}
