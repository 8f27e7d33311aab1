//! How a peripheral in standby is woken.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{CoapUri, CoapUriError, MacAddress, MacAddressError, limits};

/// How a peripheral in standby is woken.
///
/// In a URL, a header, a body and an argument, `{peripheral}` stands for the peripheral id. Where a
/// waker is written as text it is one of these, or its JSON:
///
/// ```text
/// window
/// wake-on-lan 02:00:5e:10:00:01
/// wake-on-lan 02:00:5e:10:00:01 192.0.2.255:9
/// coap://192.0.2.7/wake
/// https://sms.example/wake/{peripheral}
/// exec page-it {peripheral} --loud
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Waker {
    /// It wakes by itself, and the gateway waits for that.
    #[default]
    Window,
    /// A magic packet.
    #[serde(rename = "wake-on-lan")]
    WakeOnLan {
        /// To whom.
        #[cfg_attr(feature = "schema", schema(value_type = String, example = "02:00:5e:10:00:01"))]
        mac: MacAddress,
        /// Where it is sent to; 255.255.255.255:9 if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<String>, example = "192.0.2.255:9"))]
        broadcast: Option<SocketAddr>,
        /// How hard it is tried.
        #[serde(default)]
        effort: WakeEffort,
    },
    /// A CoAP POST to a wake-up radio.
    Coap {
        /// Where, as `coap://192.0.2.7:5683/wake`.
        #[cfg_attr(feature = "schema", schema(value_type = String, example = "coap://192.0.2.7/wake"))]
        uri: CoapUri,
        /// How hard it is tried.
        #[serde(default)]
        effort: WakeEffort,
    },
    /// A call to a service that wakes it.
    Http {
        /// Where, with http or https.
        url: String,
        /// How it is called.
        #[serde(default)]
        method: HttpMethod,
        /// Headers of the call.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// What is sent.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        body: String,
        /// How hard it is tried.
        #[serde(default)]
        effort: WakeEffort,
    },
    /// A program of the gateway's operator, run without a shell.
    Exec {
        /// Its name in the folder that the gateway's configuration sets aside for such programs.
        program: String,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
        /// How hard it is tried.
        #[serde(default)]
        effort: WakeEffort,
    },
}

/// What wakes a peripheral in standby: all that a platform knows of its waker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Wakes {
    /// Nothing: its gateway waits for it.
    ByItself,
    /// Its gateway, when it is asked to.
    WhenWoken,
}

impl fmt::Display for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ByItself => "by itself",
            Self::WhenWoken => "when woken",
        })
    }
}

/// How hard it is tried to wake a peripheral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WakeEffort {
    /// How long one try may take until the peripheral is heard, in seconds.
    #[serde(with = "crate::serde_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub time_limit: Duration,
    /// How often it is tried.
    pub tries: u8,
    /// How long it is left alone after the first try that failed, in seconds; after each further one
    /// twice as long.
    #[serde(with = "crate::serde_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub back_off: Duration,
}

impl Default for WakeEffort {
    fn default() -> Self {
        Self { time_limit: Duration::from_secs(60), tries: 3, back_off: Duration::from_secs(60) }
    }
}

impl WakeEffort {
    /// How long it is left alone after this many tries that failed.
    #[must_use]
    pub fn pause_after(&self, tries: u8) -> Duration {
        self.back_off.saturating_mul(1 << u32::from(tries.saturating_sub(1)).min(16))
    }
}

/// What is wrong with a waker. The fault is of whoever configured it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WakerError {
    /// It is none of those that there are.
    #[error("a waker is window, wake-on-lan MAC, a coap, http or https URL, exec PROGRAM, or its JSON")]
    Text,
    /// Its JSON is no waker.
    #[error("{0}")]
    Json(String),
    /// A MAC address is none.
    #[error(transparent)]
    Mac(#[from] MacAddressError),
    /// An address is none.
    #[error("{0:?} is no address and port")]
    Address(String),
    /// A CoAP URI is none.
    #[error(transparent)]
    Coap(#[from] CoapUriError),
    /// A URL is of no use.
    #[error("the URL of a waker begins with http:// or https:// and has no blanks")]
    Url,
    /// A header cannot be sent.
    #[error("header {0:?} cannot be sent")]
    Header(String),
    /// A program is named by a path.
    #[error("the program of a waker is the name of a file, without a path")]
    Program,
    /// A number is out of its range.
    #[error("{name} of a waker is from {min} to {max}")]
    Range {
        /// Which.
        name: &'static str,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
    /// It says too much.
    #[error("a waker has at most {max} bytes of text", max = limits::WAKER_BYTES_MAX)]
    TooLong,
}

impl Waker {
    /// What it comes down to.
    #[must_use]
    pub const fn wakes(&self) -> Wakes {
        match self {
            Self::Window => Wakes::ByItself,
            Self::WakeOnLan { .. } | Self::Coap { .. } | Self::Http { .. } | Self::Exec { .. } => Wakes::WhenWoken,
        }
    }

    /// How hard it is tried; none if the peripheral wakes by itself.
    #[must_use]
    pub const fn effort(&self) -> Option<&WakeEffort> {
        match self {
            Self::Window => None,
            Self::WakeOnLan { effort, .. }
            | Self::Coap { effort, .. }
            | Self::Http { effort, .. }
            | Self::Exec { effort, .. } => Some(effort),
        }
    }

    /// Checks what the types of its parts leave open.
    ///
    /// # Errors
    /// If a part of it is of no use.
    pub fn check(&self) -> Result<(), WakerError> {
        if let Some(effort) = self.effort() {
            effort.check()?;
        }
        let bytes = match self {
            Self::Window | Self::WakeOnLan { .. } => 0,
            Self::Coap { uri, .. } => uri.as_str().len(),
            Self::Http { url, headers, body, .. } => {
                check_url(url)?;
                headers.iter().try_for_each(|(name, value)| check_header(name, value))?;
                let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                url.len() + headers + body.len()
            }
            Self::Exec { program, arguments, .. } => {
                let is_name = !program.is_empty() && !program.starts_with('.') && !program.contains(['/', '\0']);
                if !is_name || arguments.iter().any(|argument| argument.contains('\0')) {
                    return Err(WakerError::Program);
                }
                program.len() + arguments.iter().map(String::len).sum::<usize>()
            }
        };
        if bytes > limits::WAKER_BYTES_MAX { Err(WakerError::TooLong) } else { Ok(()) }
    }
}

impl WakeEffort {
    fn check(&self) -> Result<(), WakerError> {
        for (name, value, min, max) in [
            ("time_limit", self.time_limit.as_secs(), 1, 3_600),
            ("tries", u64::from(self.tries), 1, 10),
            ("back_off", self.back_off.as_secs(), 1, 86_400),
        ] {
            if value < min || value > max {
                return Err(WakerError::Range { name, min, max });
            }
        }
        Ok(())
    }
}

fn check_url(url: &str) -> Result<(), WakerError> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_url = rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()));
    if is_url { Ok(()) } else { Err(WakerError::Url) }
}

/// RFC 9110 §5.1 and §5.5, without what is obsolete.
fn check_header(name: &str, value: &str) -> Result<(), WakerError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_sendable = !name.is_empty()
        && name.bytes().all(is_token)
        && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if is_sendable { Ok(()) } else { Err(WakerError::Header(name.to_owned())) }
}

impl FromStr for Waker {
    type Err = WakerError;

    fn from_str(text: &str) -> Result<Self, WakerError> {
        let text = text.trim();
        let effort = WakeEffort::default();
        let waker = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| WakerError::Json(error.to_string()))?
        } else if text.starts_with("coap://") {
            Self::Coap { uri: text.parse()?, effort }
        } else if text.starts_with("http://") || text.starts_with("https://") {
            let (method, headers) = (HttpMethod::default(), BTreeMap::new());
            Self::Http { url: text.to_owned(), method, headers, body: String::new(), effort }
        } else {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["window"] => Self::Window,
                ["wake-on-lan", mac] => Self::WakeOnLan { mac: mac.parse()?, broadcast: None, effort },
                ["wake-on-lan", mac, broadcast] => {
                    let address = broadcast.parse().map_err(|_| WakerError::Address((*broadcast).to_owned()))?;
                    Self::WakeOnLan { mac: mac.parse()?, broadcast: Some(address), effort }
                }
                ["exec", program, arguments @ ..] => {
                    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
                    Self::Exec { program: (*program).to_owned(), arguments, effort }
                }
                _ => return Err(WakerError::Text),
            }
        };
        waker.check()?;
        Ok(waker)
    }
}

/// How an HTTP service is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum HttpMethod {
    /// GET.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waker(text: &str) -> Waker {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_waker_written_as_text_is_the_one_written_as_json() {
        for (text, json) in [
            ("window", r#""window""#),
            ("wake-on-lan 02-00-5E-10-00-01", r#"{"wake-on-lan":{"mac":"02:00:5e:10:00:01"}}"#),
            (
                "wake-on-lan 02:00:5e:10:00:01 127.0.0.1:9",
                r#"{"wake-on-lan":{"mac":"02:00:5e:10:00:01","broadcast":"127.0.0.1:9"}}"#,
            ),
            ("coap://[::1]:61616/a/b?c", r#"{"coap":{"uri":"coap://[::1]:61616/a/b?c"}}"#),
            ("https://sms/{peripheral}", r#"{"http":{"url":"https://sms/{peripheral}","method":"POST"}}"#),
            ("exec page  it", r#"{"exec":{"program":"page","arguments":["it"]}}"#),
        ] {
            let from_json: Waker = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(waker(text), from_json);
            let back = serde_json::to_string(&from_json).expect("a waker is JSON");
            assert_eq!(serde_json::from_str::<Waker>(&back).expect("reads back"), from_json);
        }
        let hard = waker(r#"{"exec":{"program":"page","effort":{"tries":1,"time_limit":5}}}"#);
        let effort = WakeEffort { tries: 1, time_limit: Duration::from_secs(5), ..WakeEffort::default() };
        assert_eq!(hard.effort(), Some(&effort));
    }

    #[test]
    fn what_is_no_waker_is_refused() {
        for text in [
            "",
            "bell",
            "window 7",
            "wake-on-lan",
            "wake-on-lan 02:00:5e:10:00",
            "wake-on-lan 02:00:5e:10:00:01 somewhere",
            "coap://",
            "coap://a:0/x",
            "coaps://a/x",
            "http://",
            "http://a b",
            "ftp://a",
            "exec",
            "exec /bin/sh",
            "exec ..",
            r#"{"http":{"url":"http://a","headers":{"a b":"c"}}}"#,
            r#"{"http":{"url":"http://a","headers":{"a":"c\r\nd: e"}}}"#,
            r#"{"exec":{"program":"page","effort":{"tries":0}}}"#,
            r#"{"exec":{"program":"page","shell":true}}"#,
        ] {
            assert!(text.parse::<Waker>().is_err(), "{text}");
        }
        let long = format!("exec page {}", "x".repeat(limits::WAKER_BYTES_MAX));
        assert_eq!(long.parse::<Waker>(), Err(WakerError::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(wake-on-lan |coap://|http://|exec |\\{)?.*") {
            let _ = text.parse::<Waker>();
        }
    }

    #[test]
    fn the_pause_doubles_from_try_to_try() {
        let effort = WakeEffort { back_off: Duration::from_secs(10), ..WakeEffort::default() };
        assert_eq!([1, 2, 3].map(|tries| effort.pause_after(tries).as_secs()), [10, 20, 40]);
    }
}
