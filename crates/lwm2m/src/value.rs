//! Values of resources, and their types (LwM2M 1.1 core, appendix C).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::{Path, objects};

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// A signed integer of up to 64 bits.
    Integer,
    /// An unsigned integer of up to 64 bits.
    Unsigned,
    /// A floating point number of up to 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// Bytes.
    Opaque,
    /// Seconds since the Unix epoch.
    Time,
    /// An object instance.
    ObjectLink,
    /// Links in CoRE link format.
    CoreLink,
}

impl DataType {
    /// The type of the values at a path, if the resource is known.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        objects::definition(path.object()?, path.resource()?)?.data_type
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Integer => "an integer",
            Self::Unsigned => "an unsigned integer",
            Self::Float => "a number",
            Self::Boolean => "a boolean",
            Self::String => "text",
            Self::Opaque => "bytes",
            Self::Time => "a time in seconds",
            Self::ObjectLink => "an object link, as 3:0",
            Self::CoreLink => "links",
        })
    }
}

/// The value of a resource or of a resource instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(String),
    /// Bytes; also a value whose type neither the payload nor the tables tell.
    Opaque(Vec<u8>),
    /// Seconds since the Unix epoch.
    Time(i64),
    /// An object instance.
    ObjectLink(ObjectLink),
    /// Links in CoRE link format.
    CoreLink(String),
}

/// A value is not of the type that it has to be. The fault is of whoever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the value is not {0}")]
pub struct TypeError(pub DataType);

impl Value {
    /// Its type.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Integer(_) => DataType::Integer,
            Self::Unsigned(_) => DataType::Unsigned,
            Self::Float(_) => DataType::Float,
            Self::Boolean(_) => DataType::Boolean,
            Self::String(_) => DataType::String,
            Self::Opaque(_) => DataType::Opaque,
            Self::Time(_) => DataType::Time,
            Self::ObjectLink(_) => DataType::ObjectLink,
            Self::CoreLink(_) => DataType::CoreLink,
        }
    }

    /// The integer of this value, whichever of the types of integers it has.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) | Self::Time(value) => Some(*value),
            Self::Unsigned(value) => i64::try_from(*value).ok(),
            Self::Float(value) => exact_integer(*value),
            _ => None,
        }
    }

    /// The number of this value, rounded where 64 bits of float do not hold it.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) | Self::Time(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The same value with another type, where nothing is lost by that; else none.
    #[must_use]
    pub fn to_type(&self, data_type: DataType) -> Option<Self> {
        if self.data_type() == data_type {
            return Some(self.clone());
        }
        match (data_type, self) {
            (DataType::Integer, value) => value.as_integer().map(Self::Integer),
            (DataType::Time, value) => value.as_integer().map(Self::Time),
            (DataType::Unsigned, value) => u64::try_from(value.as_integer()?).ok().map(Self::Unsigned),
            (DataType::Float, value) => value.exact_float().map(Self::Float),
            (DataType::ObjectLink, Self::String(text)) => text.parse().ok().map(Self::ObjectLink),
            (DataType::CoreLink, Self::String(text)) => Some(Self::CoreLink(text.clone())),
            (DataType::String, Self::CoreLink(text)) => Some(Self::String(text.clone())),
            _ => None,
        }
    }

    /// The same value with the type that the tables give to its place; unchanged if they know none
    /// or something would be lost. What a self-describing payload says wins over the tables.
    pub(crate) fn conformed(self, path: &Path) -> Self {
        match DataType::of(path).and_then(|data_type| self.to_type(data_type)) {
            Some(value) => value,
            None => self,
        }
    }

    /// Reads the bytes that a TLV holds (LwM2M 1.1 core, 7.4.5 and appendix C).
    ///
    /// # Errors
    /// If the bytes are no value of this type.
    pub fn from_tlv(data_type: DataType, bytes: &[u8]) -> Result<Self, TypeError> {
        let error = TypeError(data_type);
        Ok(match data_type {
            DataType::Integer => Self::Integer(signed(bytes).ok_or(error)?),
            DataType::Time => Self::Time(signed(bytes).ok_or(error)?),
            DataType::Unsigned => Self::Unsigned(unsigned(bytes).ok_or(error)?),
            DataType::Float => Self::Float(match bytes.len() {
                4 => f64::from(f32::from_bits(unsigned(bytes).ok_or(error)? as u32)),
                8 => f64::from_bits(unsigned(bytes).ok_or(error)?),
                _ => return Err(error),
            }),
            DataType::Boolean => match bytes {
                [0] => Self::Boolean(false),
                [1] => Self::Boolean(true),
                _ => return Err(error),
            },
            DataType::String => Self::String(text(bytes).ok_or(error)?),
            DataType::CoreLink => Self::CoreLink(text(bytes).ok_or(error)?),
            DataType::Opaque => Self::Opaque(bytes.to_vec()),
            DataType::ObjectLink => match bytes {
                [a, b, c, d] => Self::ObjectLink(ObjectLink {
                    object: u16::from_be_bytes([*a, *b]),
                    instance: u16::from_be_bytes([*c, *d]),
                }),
                _ => return Err(error),
            },
        })
    }

    /// The bytes that a TLV holds: integers in the fewest of 1, 2, 4 or 8 bytes, floats in 4 where
    /// those are exact.
    #[must_use]
    pub fn to_tlv(&self) -> Vec<u8> {
        match self {
            Self::Integer(value) | Self::Time(value) => shortest_signed(*value),
            Self::Unsigned(value) => shortest_unsigned(*value),
            Self::Float(value) => match exact_f32(*value) {
                Some(short) => short.to_be_bytes().to_vec(),
                None => value.to_be_bytes().to_vec(),
            },
            Self::Boolean(value) => vec![u8::from(*value)],
            Self::String(text) | Self::CoreLink(text) => text.as_bytes().to_vec(),
            Self::Opaque(bytes) => bytes.clone(),
            Self::ObjectLink(link) => [link.object.to_be_bytes(), link.instance.to_be_bytes()].concat(),
        }
    }

    /// Bytes of what it holds, where these may be many.
    pub(crate) fn content_bytes(&self) -> usize {
        match self {
            Self::String(text) | Self::CoreLink(text) => text.len(),
            Self::Opaque(bytes) => bytes.len(),
            Self::Integer(_)
            | Self::Time(_)
            | Self::Unsigned(_)
            | Self::Float(_)
            | Self::Boolean(_)
            | Self::ObjectLink(_) => 0,
        }
    }

    /// Reads a value as text (LwM2M 1.1 core, 7.4.1 and appendix C). `true` and `false` are read for
    /// booleans beside `1` and `0`.
    ///
    /// # Errors
    /// If the text is no value of this type.
    pub fn from_text(data_type: DataType, text: &str) -> Result<Self, TypeError> {
        let error = TypeError(data_type);
        Ok(match data_type {
            DataType::Integer => Self::Integer(text.parse().map_err(|_| error)?),
            DataType::Time => Self::Time(text.parse().map_err(|_| error)?),
            DataType::Unsigned => Self::Unsigned(text.parse().map_err(|_| error)?),
            DataType::Float => Self::Float(finite(text).ok_or(error)?),
            DataType::Boolean => match text {
                "0" | "false" => Self::Boolean(false),
                "1" | "true" => Self::Boolean(true),
                _ => return Err(error),
            },
            DataType::String => Self::String(text.to_owned()),
            DataType::CoreLink => Self::CoreLink(text.to_owned()),
            DataType::Opaque => Self::Opaque(STANDARD.decode(text).map_err(|_| error)?),
            DataType::ObjectLink => Self::ObjectLink(text.parse().map_err(|_| error)?),
        })
    }

    /// The value as text, bytes in base 64.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Integer(value) | Self::Time(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Boolean(value) => u8::from(*value).to_string(),
            Self::String(text) | Self::CoreLink(text) => text.clone(),
            Self::Opaque(bytes) => STANDARD.encode(bytes),
            Self::ObjectLink(link) => link.to_string(),
        }
    }

    fn exact_float(&self) -> Option<f64> {
        let float = self.as_number()?;
        let is_exact = match self {
            Self::Unsigned(value) => float < 18_446_744_073_709_551_616.0 && float as u64 == *value,
            Self::Integer(value) | Self::Time(value) => exact_integer(float) == Some(*value),
            _ => true,
        };
        is_exact.then_some(float)
    }
}

/// An object instance, as a value: `3:0`. 65535 for either part is a null link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectLink {
    /// The object's id.
    pub object: u16,
    /// The instance's id.
    pub instance: u16,
}

impl FromStr for ObjectLink {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let error = TypeError(DataType::ObjectLink);
        let (object, instance) = text.split_once(':').ok_or(error)?;
        Ok(Self { object: object.parse().map_err(|_| error)?, instance: instance.parse().map_err(|_| error)? })
    }
}

impl fmt::Display for ObjectLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.object, self.instance)
    }
}

/// The integer that a float is, if it is one of 64 bits.
fn exact_integer(float: f64) -> Option<i64> {
    // Two to the 63rd is the first float beyond an i64; the cast below cuts nothing off in this range.
    let is_integer =
        float.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    is_integer.then_some(float as i64)
}

/// The short float that is the same number, if there is one.
pub(crate) fn exact_f32(float: f64) -> Option<f32> {
    let short = float as f32;
    (f64::from(short).to_bits() == float.to_bits()).then_some(short)
}

/// A number in decimal notation; `inf` and `nan` are none.
fn finite(text: &str) -> Option<f64> {
    let float: f64 = text.parse().ok()?;
    float.is_finite().then_some(float)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let fits = matches!(bytes.len(), 1 | 2 | 4 | 8);
    fits.then(|| bytes.iter().fold(0, |high, byte| (high << 8) | u64::from(*byte)))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?.min(8);
    // Shifting up and back down again repeats the sign bit.
    unsigned(bytes).map(|value| ((value << unused) as i64) >> unused)
}

fn shortest_signed(value: i64) -> Vec<u8> {
    if let Ok(value) = i8::try_from(value) {
        value.to_be_bytes().to_vec()
    } else if let Ok(value) = i16::try_from(value) {
        value.to_be_bytes().to_vec()
    } else if let Ok(value) = i32::try_from(value) {
        value.to_be_bytes().to_vec()
    } else {
        value.to_be_bytes().to_vec()
    }
}

fn shortest_unsigned(value: u64) -> Vec<u8> {
    if let Ok(value) = u8::try_from(value) {
        value.to_be_bytes().to_vec()
    } else if let Ok(value) = u16::try_from(value) {
        value.to_be_bytes().to_vec()
    } else if let Ok(value) = u32::try_from(value) {
        value.to_be_bytes().to_vec()
    } else {
        value.to_be_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    #[test]
    fn integers_take_the_fewest_bytes_and_keep_their_sign() {
        for (value, bytes) in [
            (0, vec![0]),
            (-1, vec![0xff]),
            (127, vec![0x7f]),
            (128, vec![0x00, 0x80]),
            (-32_768, vec![0x80, 0x00]),
            (86_400, vec![0x00, 0x01, 0x51, 0x80]),
            (i64::from(i32::MAX) + 1, vec![0, 0, 0, 0, 0x80, 0, 0, 0]),
        ] {
            assert_eq!(Value::Integer(value).to_tlv(), bytes);
            assert_eq!(Value::from_tlv(DataType::Integer, &bytes), Ok(Value::Integer(value)));
        }
        assert_eq!(Value::from_tlv(DataType::Unsigned, &[0xff]), Ok(Value::Unsigned(255)));
    }

    #[test]
    fn bytes_of_another_type_are_no_value() {
        for (data_type, bytes) in [
            (DataType::Integer, &[][..]),
            (DataType::Integer, &[1, 2, 3]),
            (DataType::Float, &[1, 2]),
            (DataType::Boolean, &[2]),
            (DataType::String, &[0xff]),
            (DataType::ObjectLink, &[0, 3, 0]),
        ] {
            assert_eq!(Value::from_tlv(data_type, bytes), Err(TypeError(data_type)));
        }
    }

    #[test]
    fn text_of_another_type_is_no_value() {
        for (data_type, text) in [
            (DataType::Integer, "1.5"),
            (DataType::Unsigned, "-1"),
            (DataType::Float, "NaN"),
            (DataType::Float, "inf"),
            (DataType::Boolean, "on"),
            (DataType::Opaque, "!"),
            (DataType::ObjectLink, "65"),
        ] {
            assert_eq!(Value::from_text(data_type, text), Err(TypeError(data_type)), "{text}");
        }
        assert_eq!(Value::from_text(DataType::Boolean, "true"), Ok(Value::Boolean(true)));
    }

    #[test]
    fn a_value_changes_its_type_only_without_loss() {
        assert_eq!(Value::Integer(3).to_type(DataType::Float), Some(Value::Float(3.0)));
        assert_eq!(Value::Integer(i64::MAX).to_type(DataType::Float), None);
        assert_eq!(Value::Unsigned(u64::MAX).to_type(DataType::Float), None);
        assert_eq!(Value::Float(3.0).to_type(DataType::Integer), Some(Value::Integer(3)));
        assert_eq!(Value::Float(3.5).to_type(DataType::Integer), None);
        assert_eq!(Value::Float(9_223_372_036_854_775_808.0).to_type(DataType::Integer), None);
        assert_eq!(Value::Integer(-1).to_type(DataType::Unsigned), None);
        assert_eq!(Value::String("x".into()).to_type(DataType::Boolean), None);
        let path = Path::of_resource(objects::DEVICE, 0, 13);
        assert_eq!(Value::Integer(5).conformed(&path), Value::Time(5));
        assert_eq!(Value::String("later".into()).conformed(&path), Value::String("later".into()));
    }

    proptest! {
        #[test]
        fn a_value_reads_back_from_tlv_and_text(value in testing::value()) {
            let data_type = value.data_type();
            prop_assert_eq!(Value::from_tlv(data_type, &value.to_tlv()), Ok(value.clone()));
            prop_assert_eq!(Value::from_text(data_type, &value.to_text()), Ok(value));
        }
    }
}
