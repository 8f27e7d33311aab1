//! Where a peripheral is allocated: `GATEWAY/PERIPHERAL`.

use std::fmt;
use std::str::FromStr;

use bugle_core::{GatewayId, PeripheralId};

/// A peripheral at a gateway, as commands name it. Neither id may hold a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// At which gateway.
    pub(crate) gateway: GatewayId,
    /// Who.
    pub(crate) peripheral: PeripheralId,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (gateway, peripheral) = text.split_once('/').ok_or("write it as GATEWAY/PERIPHERAL, as east/lamp-01")?;
        let gateway = gateway.parse().map_err(|error: bugle_core::IdError| error.to_string())?;
        let peripheral = peripheral.parse().map_err(|error: bugle_core::IdError| error.to_string())?;
        Ok(Self { gateway, peripheral })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.gateway, self.peripheral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_written() {
        assert_eq!("east/urn:imei:1".parse::<Place>().expect("a place").to_string(), "east/urn:imei:1");
    }

    #[test]
    fn half_a_place_is_refused_with_how_to_write_it() {
        assert!("lamp-01".parse::<Place>().expect_err("no gateway").contains("GATEWAY/PERIPHERAL"));
        assert!("/lamp-01".parse::<Place>().expect_err("an empty gateway").contains("gateway id"));
    }
}
