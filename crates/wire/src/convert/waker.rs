//! How a peripheral in standby is woken.

use std::time::Duration;

use bugle_core::{MacAddress, WakeEffort, Waker};
use proto::waker::Waker as Message;

use super::{Word, present, to_millis};
use crate::{WireError, proto};

impl From<&Waker> for proto::Waker {
    fn from(waker: &Waker) -> Self {
        let message = match waker {
            Waker::Window => Message::Window(proto::Window {}),
            Waker::WakeOnLan { mac, broadcast, .. } => Message::WakeOnLan(proto::WakeOnLan {
                mac: mac.as_bytes().to_vec(),
                broadcast: broadcast.map(|address| address.to_string()),
            }),
            Waker::Coap { uri, .. } => Message::Coap(proto::CoapWaker { uri: uri.to_string() }),
            Waker::Http { url, method, headers, body, .. } => Message::Http(proto::HttpWaker {
                url: url.clone(),
                method: method.to_number(),
                headers: headers.clone(),
                body: body.clone(),
            }),
            Waker::Exec { program, arguments, .. } => {
                Message::Exec(proto::Exec { program: program.clone(), arguments: arguments.clone() })
            }
        };
        Self { waker: Some(message), effort: waker.effort().map(Into::into) }
    }
}

impl TryFrom<proto::Waker> for Waker {
    type Error = WireError;

    fn try_from(message: proto::Waker) -> Result<Self, WireError> {
        let effort = || present(message.effort, "effort")?.try_into();
        let waker = match present(message.waker, "waker")? {
            Message::Window(proto::Window {}) => Self::Window,
            Message::WakeOnLan(lan) => {
                let mac = lan.mac.try_into().map_err(|mac: Vec<u8>| WireError::Mac { length: mac.len() })?;
                let broadcast = lan.broadcast.map(|text| text.parse().map_err(|_| WireError::Address(text)));
                Self::WakeOnLan { mac: MacAddress::new(mac), broadcast: broadcast.transpose()?, effort: effort()? }
            }
            Message::Coap(coap) => Self::Coap { uri: coap.uri.parse()?, effort: effort()? },
            Message::Http(http) => Self::Http {
                url: http.url,
                method: Word::from_number(http.method)?,
                headers: http.headers,
                body: http.body,
                effort: effort()?,
            },
            Message::Exec(exec) => Self::Exec { program: exec.program, arguments: exec.arguments, effort: effort()? },
        };
        Ok(waker)
    }
}

impl From<&WakeEffort> for proto::WakeEffort {
    fn from(effort: &WakeEffort) -> Self {
        Self {
            time_limit_ms: to_millis(effort.time_limit),
            tries: effort.tries.into(),
            back_off_ms: to_millis(effort.back_off),
        }
    }
}

impl TryFrom<proto::WakeEffort> for WakeEffort {
    type Error = WireError;

    fn try_from(message: proto::WakeEffort) -> Result<Self, WireError> {
        let tries = message.tries;
        Ok(Self {
            time_limit: Duration::from_millis(message.time_limit_ms),
            tries: tries.try_into().map_err(|_| WireError::OutOfRange { field: "tries", value: tries.into() })?,
            back_off: Duration::from_millis(message.back_off_ms),
        })
    }
}
