//! The parameters of Register and Update (LwM2M 1.1 core, 6.2.1 and 6.2.2).

use std::time::Duration;

use super::{Binding, RegistrationError};
use crate::limits;

/// The parameters of Register and Update; in any order, and others do not matter.
#[derive(Default)]
pub(super) struct Parameters<'q> {
    pub(super) endpoint: Option<&'q str>,
    lifetime: Option<&'q str>,
    pub(super) version: Option<&'q str>,
    binding: Option<&'q str>,
    sms: Option<&'q str>,
    pub(super) profiles: Option<&'q str>,
    pub(super) is_queue_mode: bool,
}

impl<'q> Parameters<'q> {
    pub(super) fn read(query: &'q [String]) -> Result<Self, RegistrationError> {
        let mut parameters = Self::default();
        for part in query {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (parameter, name) = match name {
                "ep" => (&mut parameters.endpoint, "ep"),
                "lt" => (&mut parameters.lifetime, "lt"),
                "lwm2m" => (&mut parameters.version, "lwm2m"),
                "b" => (&mut parameters.binding, "b"),
                "sms" => (&mut parameters.sms, "sms"),
                "pid" => (&mut parameters.profiles, "pid"),
                "Q" => {
                    parameters.is_queue_mode = true;
                    continue;
                }
                _ => continue,
            };
            if parameter.replace(value).is_some() {
                return Err(RegistrationError::Twice(name));
            }
        }
        Ok(parameters)
    }

    /// 0 is for ever (LwM2M 1.1 core, E.2).
    pub(super) fn lifetime(&self) -> Result<Option<Duration>, RegistrationError> {
        let Some(text) = self.lifetime else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RegistrationError::Lifetime);
        }
        let lifetime = match text.parse() {
            Ok(0) | Err(_) => limits::LIFETIME_MAX,
            Ok(seconds) => Duration::from_secs(seconds).min(limits::LIFETIME_MAX),
        };
        Ok(Some(lifetime))
    }

    pub(super) fn binding(&self) -> Result<Option<Binding>, RegistrationError> {
        Ok(self.binding.map(str::parse).transpose()?)
    }

    pub(super) fn sms(&self) -> Result<Option<String>, RegistrationError> {
        match self.sms {
            Some(sms) if sms.len() > limits::SMS_BYTES_MAX => Err(RegistrationError::Sms),
            sms => Ok(sms.map(str::to_owned)),
        }
    }
}
