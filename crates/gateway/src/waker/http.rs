//! A call to a service that wakes peripherals.

use std::collections::BTreeMap;

use bugle_core::{HttpMethod, PeripheralId};
use reqwest::{Client, Method};

use super::WakeError;
use super::placeholder::{fill, fill_encoded};

pub(super) async fn send(
    client: &Client,
    (method, url): (HttpMethod, &str),
    headers: &BTreeMap<String, String>,
    body: &str,
    peripheral: &PeripheralId,
) -> Result<(), WakeError> {
    let method = match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    };
    let mut call = client.request(method, fill_encoded(url, peripheral));
    for (name, value) in headers {
        call = call.header(name, fill(value, peripheral));
    }
    if !body.is_empty() {
        call = call.body(fill(body, peripheral));
    }
    let status = call.send().await?.status();
    if status.is_success() { Ok(()) } else { Err(WakeError::Status(status.as_u16())) }
}
