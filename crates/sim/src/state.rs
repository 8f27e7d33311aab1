//! Where everything stands, for those who compare.

use crate::application::Application;
use crate::device::Device;
use crate::gateway::Gateway;
use crate::peripheral::Peripheral;
use crate::platform::Platform;

/// Everybody in the world.
pub(crate) struct State<'a> {
    pub(crate) gateways: &'a [Gateway],
    pub(crate) platform: &'a Platform,
    pub(crate) applications: &'a [Application],
    pub(crate) peripherals: &'a [Peripheral],
    pub(crate) devices: &'a [Device],
}
