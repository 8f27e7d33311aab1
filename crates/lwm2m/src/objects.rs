//! The objects and resources that are known by number: their names, types and what may be done to them.
//!
//! From the object definitions of LwM2M 1.1 core, appendix E, and the OMA registry (Binary App Data
//! Container; the IPSO objects and their reusable resources). Whatever is not listed still
//! works; a format without types on the wire then yields opaque values.

use crate::DataType;

/// LwM2M Security; no server sees it.
pub const SECURITY: u16 = 0;
/// LwM2M Server.
pub const SERVER: u16 = 1;
/// LwM2M Access Control.
pub const ACCESS_CONTROL: u16 = 2;
/// Device.
pub const DEVICE: u16 = 3;
/// Connectivity Monitoring.
pub const CONNECTIVITY_MONITORING: u16 = 4;
/// Firmware Update.
pub const FIRMWARE_UPDATE: u16 = 5;
/// Location.
pub const LOCATION: u16 = 6;
/// Connectivity Statistics.
pub const CONNECTIVITY_STATISTICS: u16 = 7;
/// Binary App Data Container.
pub const BINARY_APP_DATA_CONTAINER: u16 = 19;
/// LwM2M OSCORE; no server sees it.
pub const OSCORE: u16 = 21;
/// Temperature (IPSO).
pub const TEMPERATURE: u16 = 3303;
/// Light Control (IPSO).
pub const LIGHT_CONTROL: u16 = 3311;

/// The IPSO objects: their resources have the same meaning in all of them.
const IPSO: std::ops::RangeInclusive<u16> = 3200..=3441;

/// What a server may do to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: only a bootstrap server may.
    None,
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Read and write it.
    ReadWrite,
    /// Execute it.
    Execute,
}

impl Access {
    /// Whether it may be read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether it may be written.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// How many instances a resource has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// One; it is the resource.
    Single,
    /// Any number, each with an id.
    Multiple,
}

/// A resource that is known by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Its number.
    pub resource: u16,
    /// Its name.
    pub name: &'static str,
    /// The type of its value; none if it is to be executed.
    pub data_type: Option<DataType>,
    /// What a server may do to it.
    pub access: Access,
    /// How many instances it has.
    pub instances: Instances,
}

/// What is known of a resource.
#[must_use]
pub fn definition(object: u16, resource: u16) -> Option<&'static Definition> {
    let definitions = if IPSO.contains(&object) {
        REUSABLE
    } else {
        OBJECTS.iter().find(|(id, ..)| *id == object).map(|(.., definitions)| *definitions)?
    };
    let at = definitions.binary_search_by_key(&resource, |definition| definition.resource).ok()?;
    Some(&definitions[at])
}

/// The name of an object.
#[must_use]
pub fn object_name(object: u16) -> Option<&'static str> {
    let known = OBJECTS.iter().map(|(id, name, _)| (*id, *name)).chain(IPSO_NAMES.iter().copied());
    known.into_iter().find(|(id, _)| *id == object).map(|(_, name)| name)
}

macro_rules! definitions {
    ($($resource:literal $name:literal $access:ident $($data_type:ident)? $(* $many:ident)?;)*) => {
        &[$(Definition {
            resource: $resource,
            name: $name,
            data_type: definitions!(@type $($data_type)?),
            access: definitions!(@access $access),
            instances: definitions!(@instances $($many)?),
        },)*]
    };
    (@type) => { None };
    (@type $data_type:ident) => { Some(DataType::$data_type) };
    (@access N) => { Access::None };
    (@access R) => { Access::Read };
    (@access W) => { Access::Write };
    (@access RW) => { Access::ReadWrite };
    (@access E) => { Access::Execute };
    (@instances) => { Instances::Single };
    (@instances many) => { Instances::Multiple };
}

/// Sorted by resource within each object.
const OBJECTS: &[(u16, &str, &[Definition])] = &[
    (
        SECURITY,
        "LwM2M Security",
        definitions! {
            0 "LwM2M Server URI" N String;
            1 "Bootstrap-Server" N Boolean;
            2 "Security Mode" N Integer;
            3 "Public Key or Identity" N Opaque;
            4 "Server Public Key" N Opaque;
            5 "Secret Key" N Opaque;
            6 "SMS Security Mode" N Integer;
            7 "SMS Binding Key Parameters" N Opaque;
            8 "SMS Binding Secret Key(s)" N Opaque;
            9 "LwM2M Server SMS Number" N String;
            10 "Short Server ID" N Integer;
            11 "Client Hold Off Time" N Integer;
            12 "Bootstrap-Server Account Timeout" N Integer;
        },
    ),
    (
        SERVER,
        "LwM2M Server",
        definitions! {
            0 "Short Server ID" R Integer;
            1 "Lifetime" RW Integer;
            2 "Default Minimum Period" RW Integer;
            3 "Default Maximum Period" RW Integer;
            4 "Disable" E;
            5 "Disable Timeout" RW Integer;
            6 "Notification Storing When Disabled or Offline" RW Boolean;
            7 "Binding" RW String;
            8 "Registration Update Trigger" E;
            9 "Bootstrap-Request Trigger" E;
            10 "APN Link" RW ObjectLink;
            11 "TLS-DTLS Alert Code" R Unsigned;
            12 "Last Bootstrapped" R Time;
            13 "Registration Priority Order" N Unsigned;
            14 "Initial Registration Delay Timer" N Unsigned;
            15 "Registration Failure Block" N Boolean;
            16 "Bootstrap on Registration Failure" N Boolean;
            17 "Communication Retry Count" N Unsigned;
            18 "Communication Retry Timer" N Unsigned;
            19 "Communication Sequence Delay Timer" N Unsigned;
            20 "Communication Sequence Retry Count" N Unsigned;
            21 "Trigger" RW Boolean;
            22 "Preferred Transport" RW String;
            23 "Mute Send" RW Boolean;
        },
    ),
    (
        ACCESS_CONTROL,
        "LwM2M Access Control",
        definitions! {
            0 "Object ID" R Integer;
            1 "Object Instance ID" R Integer;
            2 "ACL" RW Integer * many;
            3 "Access Control Owner" RW Integer;
        },
    ),
    (
        DEVICE,
        "Device",
        definitions! {
            0 "Manufacturer" R String;
            1 "Model Number" R String;
            2 "Serial Number" R String;
            3 "Firmware Version" R String;
            4 "Reboot" E;
            5 "Factory Reset" E;
            6 "Available Power Sources" R Integer * many;
            7 "Power Source Voltage" R Integer * many;
            8 "Power Source Current" R Integer * many;
            9 "Battery Level" R Integer;
            10 "Memory Free" R Integer;
            11 "Error Code" R Integer * many;
            12 "Reset Error Code" E;
            13 "Current Time" RW Time;
            14 "UTC Offset" RW String;
            15 "Timezone" RW String;
            16 "Supported Binding and Modes" R String;
            17 "Device Type" R String;
            18 "Hardware Version" R String;
            19 "Software Version" R String;
            20 "Battery Status" R Integer;
            21 "Memory Total" R Integer;
            22 "ExtDevInfo" R ObjectLink * many;
        },
    ),
    (
        CONNECTIVITY_MONITORING,
        "Connectivity Monitoring",
        definitions! {
            0 "Network Bearer" R Integer;
            1 "Available Network Bearer" R Integer * many;
            2 "Radio Signal Strength" R Integer;
            3 "Link Quality" R Integer;
            4 "IP Addresses" R String * many;
            5 "Router IP Addresses" R String * many;
            6 "Link Utilization" R Integer;
            7 "APN" R String * many;
            8 "Cell ID" R Integer;
            9 "SMNC" R Integer;
            10 "SMCC" R Integer;
            11 "SignalSNR" R Integer;
            12 "LAC" R Integer;
        },
    ),
    (
        FIRMWARE_UPDATE,
        "Firmware Update",
        definitions! {
            0 "Package" W Opaque;
            1 "Package URI" RW String;
            2 "Update" E;
            3 "State" R Integer;
            5 "Update Result" R Integer;
            6 "PkgName" R String;
            7 "PkgVersion" R String;
            8 "Firmware Update Protocol Support" R Integer * many;
            9 "Firmware Update Delivery Method" R Integer;
        },
    ),
    (
        LOCATION,
        "Location",
        definitions! {
            0 "Latitude" R Float;
            1 "Longitude" R Float;
            2 "Altitude" R Float;
            3 "Radius" R Float;
            4 "Velocity" R Opaque;
            5 "Timestamp" R Time;
            6 "Speed" R Float;
        },
    ),
    (
        CONNECTIVITY_STATISTICS,
        "Connectivity Statistics",
        definitions! {
            0 "SMS Tx Counter" R Integer;
            1 "SMS Rx Counter" R Integer;
            2 "Tx Data" R Integer;
            3 "Rx Data" R Integer;
            4 "Max Message Size" R Integer;
            5 "Average Message Size" R Integer;
            6 "Start" E;
            7 "Stop" E;
            8 "Collection Period" RW Integer;
        },
    ),
    (
        BINARY_APP_DATA_CONTAINER,
        "Binary App Data Container",
        definitions! {
            0 "Data" RW Opaque * many;
            1 "Data Priority" RW Integer;
            2 "Data Creation Time" RW Time;
            3 "Data Description" RW String;
            4 "Data Format" RW String;
            5 "App ID" RW Integer;
        },
    ),
];

/// The resources that the IPSO objects share.
const REUSABLE: &[Definition] = definitions! {
    5500 "Digital Input State" R Boolean;
    5501 "Digital Input Counter" R Integer;
    5502 "Digital Input Polarity" RW Boolean;
    5503 "Digital Input Debounce" RW Integer;
    5504 "Digital Input Edge Selection" RW Integer;
    5505 "Digital Input Counter Reset" E;
    5506 "Current Time" RW Time;
    5507 "Fractional Time" RW Float;
    5513 "Latitude" R String;
    5514 "Longitude" R String;
    5515 "Uncertainty" R String;
    5516 "Velocity" R Opaque;
    5518 "Timestamp" R Time;
    5519 "Min Limit" R Float;
    5520 "Max Limit" R Float;
    5521 "Delay Duration" RW Float;
    5522 "Clip" RW Opaque;
    5523 "Trigger" E;
    5524 "Duration" RW Float;
    5525 "Minimum Off-time" RW Float;
    5526 "Mode" RW Integer;
    5527 "Text" RW String;
    5530 "Clear Display" E;
    5531 "Contrast" RW Float;
    5532 "Increase Input State" R Boolean;
    5533 "Decrease Input State" R Boolean;
    5534 "Counter" RW Integer;
    5536 "Current Position" RW Float;
    5537 "Transition Time" RW Float;
    5538 "Remaining Time" R Float;
    5544 "Cumulative Time" RW Float;
    5550 "Digital Output State" RW Boolean;
    5551 "Digital Output Polarity" RW Boolean;
    5600 "Analog Input Current Value" R Float;
    5601 "Min Measured Value" R Float;
    5602 "Max Measured Value" R Float;
    5603 "Min Range Value" R Float;
    5604 "Max Range Value" R Float;
    5605 "Reset Min and Max Measured Values" E;
    5650 "Analog Output Current Value" RW Float;
    5700 "Sensor Value" R Float;
    5701 "Sensor Units" R String;
    5702 "X Value" R Float;
    5703 "Y Value" R Float;
    5704 "Z Value" R Float;
    5705 "Compass Direction" R Float;
    5706 "Colour" RW String;
    5750 "Application Type" RW String;
    5751 "Sensor Type" R String;
    5800 "Instantaneous Active Power" R Float;
    5801 "Min Measured Active Power" R Float;
    5802 "Max Measured Active Power" R Float;
    5803 "Min Range Active Power" R Float;
    5804 "Max Range Active Power" R Float;
    5805 "Cumulative Active Power" R Float;
    5806 "Active Power Calibration" W Float;
    5810 "Instantaneous Reactive Power" R Float;
    5815 "Cumulative Reactive Power" R Float;
    5820 "Power Factor" R Float;
    5821 "Current Calibration" RW Float;
    5822 "Reset Cumulative Energy" E;
    5850 "On/Off" RW Boolean;
    5851 "Dimmer" RW Integer;
    5852 "On Time" RW Integer;
    5853 "Multi-state Output" RW String;
    5854 "Off Time" RW Integer;
    5900 "Set Point Value" RW Float;
    5903 "Busy to Clear Delay" RW Integer;
    5904 "Clear to Busy Delay" RW Integer;
    5910 "Bitmap Input" R Integer;
    5911 "Bitmap Input Reset" E;
    5912 "Element Description" RW String * many;
};

const IPSO_NAMES: &[(u16, &str)] = &[
    (3200, "Digital Input"),
    (3201, "Digital Output"),
    (3202, "Analog Input"),
    (3203, "Analog Output"),
    (3300, "Generic Sensor"),
    (3301, "Illuminance"),
    (3302, "Presence"),
    (TEMPERATURE, "Temperature"),
    (3304, "Humidity"),
    (3305, "Power Measurement"),
    (3306, "Actuation"),
    (3308, "Set Point"),
    (3310, "Load Control"),
    (LIGHT_CONTROL, "Light Control"),
    (3312, "Power Control"),
    (3313, "Accelerometer"),
    (3314, "Magnetometer"),
    (3315, "Barometer"),
    (3316, "Voltage"),
    (3317, "Current"),
    (3318, "Frequency"),
    (3319, "Depth"),
    (3320, "Percentage"),
    (3321, "Altitude"),
    (3322, "Load"),
    (3323, "Pressure"),
    (3324, "Loudness"),
    (3325, "Concentration"),
    (3326, "Acidity"),
    (3327, "Conductivity"),
    (3328, "Power"),
    (3329, "Power Factor"),
    (3330, "Distance"),
    (3331, "Energy"),
    (3332, "Direction"),
    (3333, "Time"),
    (3334, "Gyrometer"),
    (3335, "Colour"),
    (3336, "Location"),
    (3337, "Positioner"),
    (3338, "Buzzer"),
    (3339, "Audio Clip"),
    (3340, "Timer"),
    (3341, "Addressable Text Display"),
    (3342, "On/Off Switch"),
    (3343, "Dimmer"),
    (3344, "Up/Down Control"),
    (3345, "Multiple Axis Joystick"),
    (3346, "Rate"),
    (3347, "Push Button"),
    (3348, "Multi-state Selector"),
    (3349, "Bitmap"),
    (3350, "Stopwatch"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_sorted_so_that_all_of_it_is_found() {
        for (object, _, definitions) in OBJECTS {
            for known in *definitions {
                assert_eq!(definition(*object, known.resource), Some(known), "/{object}/{}", known.resource);
            }
        }
        for known in REUSABLE {
            assert_eq!(definition(TEMPERATURE, known.resource), Some(known));
        }
    }

    #[test]
    fn what_is_executed_has_no_type_and_all_else_has_one() {
        let all = OBJECTS.iter().flat_map(|(.., definitions)| *definitions).chain(REUSABLE);
        for known in all {
            assert_eq!(known.access == Access::Execute, known.data_type.is_none(), "{}", known.name);
        }
    }

    #[test]
    fn objects_have_names() {
        assert_eq!(object_name(BINARY_APP_DATA_CONTAINER), Some("Binary App Data Container"));
        assert_eq!(object_name(TEMPERATURE), Some("Temperature"));
        assert_eq!(object_name(26_241), None);
        assert_eq!(definition(26_241, 0), None);
    }
}
