//! CBOR: one value without a name (LwM2M 1.1 core, 7.4.3), and the items that the other formats in
//! CBOR are made of.
//!
//! Clients differ in how they write the same item, so that all of these are read: floats of 16, 32 and
//! 64 bits, decimal fractions (RFC 8949, 3.4.4), strings in pieces (3.2.3), times with and without tag.

use std::convert::Infallible;

use minicbor::data::{IanaTag, Tag, Type};
use minicbor::{Decoder, Encoder};

use super::{DecodeError, Record, single_base};
use crate::{ContentFormat, Path, Value, limits, value};

/// Reads one value.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let path = single_base(ContentFormat::CBOR, base)?;
    let mut reader = Reader::new("CBOR", payload);
    let value = reader.value()?.conformed(&path);
    reader.end()?;
    Ok(vec![Record::new(path, value)])
}

/// Writes one value.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    write(|writer| write_value(writer, value))
}

/// Writes CBOR.
pub(super) type Writer = Encoder<Vec<u8>>;
/// Writing to memory does not fail; the encoder's signature has an error all the same.
pub(super) type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// The bytes that `body` writes.
pub(super) fn write(body: impl FnOnce(&mut Writer) -> Written) -> Vec<u8> {
    let mut writer = Encoder::new(Vec::new());
    body(&mut writer).expect("writing to memory does not fail");
    writer.into_writer()
}

/// Writes a value as the item that says its type.
pub(super) fn write_value(writer: &mut Writer, value: &Value) -> Written {
    match value {
        Value::Integer(value) => writer.i64(*value)?,
        Value::Unsigned(value) => writer.u64(*value)?,
        Value::Float(value) => return write_float(writer, *value),
        Value::Boolean(value) => writer.bool(*value)?,
        Value::String(text) | Value::CoreLink(text) => writer.str(text)?,
        Value::Opaque(bytes) => writer.bytes(bytes)?,
        Value::Time(value) => writer.tag(IanaTag::Timestamp)?.i64(*value)?,
        Value::ObjectLink(link) => writer.str(&link.to_string())?,
    };
    Ok(())
}

/// Writes a float in 32 bits if those are exact.
pub(super) fn write_float(writer: &mut Writer, float: f64) -> Written {
    match value::exact_f32(float) {
        Some(short) => writer.f32(short)?,
        None => writer.f64(float)?,
    };
    Ok(())
}

/// Reads CBOR, item after item.
pub(super) struct Reader<'b> {
    format: &'static str,
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    /// A reader of a payload; errors name its format.
    pub(super) fn new(format: &'static str, payload: &'b [u8]) -> Self {
        Self { format, decoder: Decoder::new(payload) }
    }

    /// The error that the payload breaks its rules.
    pub(super) const fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { format: self.format, what }
    }

    fn check<T>(&self, result: Result<T, minicbor::decode::Error>) -> Result<T, DecodeError> {
        result.map_err(|_| self.malformed("an item is broken or out of place"))
    }

    /// What comes next.
    pub(super) fn next_type(&self) -> Result<Type, DecodeError> {
        self.check(self.decoder.datatype())
    }

    /// Opens an array; its length, if it is told.
    pub(super) fn array(&mut self) -> Result<Option<u64>, DecodeError> {
        let length = self.decoder.array();
        self.check(length)
    }

    /// Opens a map; its length, if it is told.
    pub(super) fn map(&mut self) -> Result<Option<u64>, DecodeError> {
        let length = self.decoder.map();
        self.check(length)
    }

    /// Whether an array or map, of which `read` elements have been read, has another one; closes it if not.
    pub(super) fn has_more(&mut self, length: Option<u64>, read: u64) -> Result<bool, DecodeError> {
        match length {
            Some(length) => Ok(read < length),
            None if self.next_type()? == Type::Break => {
                self.decoder.set_position(self.decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// An integer that is a label.
    pub(super) fn integer(&mut self) -> Result<i64, DecodeError> {
        let integer = self.decoder.i64();
        self.check(integer)
    }

    /// A text, whole or in pieces.
    pub(super) fn text(&mut self) -> Result<String, DecodeError> {
        if self.next_type()? == Type::String {
            let whole = self.decoder.str().map(str::to_owned);
            return self.check(whole);
        }
        let pieces = self.decoder.str_iter().and_then(Iterator::collect);
        self.check(pieces)
    }

    /// Bytes, whole or in pieces.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        let pieces = self.decoder.bytes_iter().and_then(|pieces| {
            pieces.into_iter().try_fold(Vec::new(), |mut whole, piece| {
                whole.extend_from_slice(piece?);
                Ok(whole)
            })
        });
        self.check(pieces)
    }

    /// True or false.
    pub(super) fn boolean(&mut self) -> Result<bool, DecodeError> {
        let boolean = self.decoder.bool();
        self.check(boolean)
    }

    /// A number: an integer, unsigned where it has to be, or a float.
    pub(super) fn number(&mut self) -> Result<Value, DecodeError> {
        match self.next_type()? {
            Type::F16 | Type::F32 | Type::F64 => {
                let float = self.decoder.f64().map(Value::Float);
                self.check(float)
            }
            Type::Tag => match self.tag()? {
                tag if tag == Tag::from(IanaTag::Decimal) => self.decimal(),
                _ => Err(self.malformed("a number has a tag that is not understood")),
            },
            _ => {
                let integer = self.decoder.int();
                let integer = self.check(integer)?;
                i64::try_from(integer)
                    .map(Value::Integer)
                    .or_else(|_| u64::try_from(integer).map(Value::Unsigned))
                    .map_err(|_| self.malformed("an integer has more than 64 bits"))
            }
        }
    }

    /// A number that is meant as a time or a float, as a float.
    pub(super) fn float(&mut self) -> Result<f64, DecodeError> {
        let number = self.number()?;
        number.as_number().filter(|number| number.is_finite()).ok_or(self.malformed("a number is not finite"))
    }

    /// A value, of the type that its item says.
    pub(super) fn value(&mut self) -> Result<Value, DecodeError> {
        match self.next_type()? {
            Type::Bool => self.boolean().map(Value::Boolean),
            Type::String | Type::StringIndef => self.text().map(Value::String),
            Type::Bytes | Type::BytesIndef => self.bytes().map(Value::Opaque),
            Type::Tag => self.tagged(),
            _ => {
                let number = self.number()?;
                match number {
                    Value::Float(float) if !float.is_finite() => Err(self.malformed("a number is not finite")),
                    number => Ok(number),
                }
            }
        }
    }

    /// Passes over one item, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        self.skip_within(limits::CBOR_NESTING_MAX)
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        let is_end = self.decoder.position() == self.decoder.input().len();
        if is_end { Ok(()) } else { Err(self.malformed("something follows its end")) }
    }

    fn skip_within(&mut self, nesting: usize) -> Result<(), DecodeError> {
        let deeper = nesting.checked_sub(1).ok_or(self.malformed("items lie too deep in each other"))?;
        let (length, per_element) = match self.next_type()? {
            Type::Array | Type::ArrayIndef => (self.array()?, 1),
            Type::Map | Type::MapIndef => (self.map()?, 2),
            Type::Tag => {
                self.tag()?;
                return self.skip_within(deeper);
            }
            Type::Break => return Err(self.malformed("a break has nothing to end")),
            _ => {
                let skipped = self.decoder.skip();
                return self.check(skipped);
            }
        };
        let mut read = 0;
        while self.has_more(length, read)? {
            for _ in 0..per_element {
                self.skip_within(deeper)?;
            }
            read += 1;
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<Tag, DecodeError> {
        let tag = self.decoder.tag();
        self.check(tag)
    }

    /// A time, or a number as a fraction.
    fn tagged(&mut self) -> Result<Value, DecodeError> {
        let tag = self.tag()?;
        if tag == Tag::from(IanaTag::Decimal) {
            return self.decimal();
        }
        if tag != Tag::from(IanaTag::Timestamp) {
            return Err(self.malformed("a value has a tag that is not understood"));
        }
        let number = self.number()?;
        // A time with a fraction of a second has no other place to go than down to the second.
        let seconds = number.as_integer().or_else(|| number.as_number().map(|float| float.floor() as i64));
        seconds.map(Value::Time).ok_or(self.malformed("a time is no number"))
    }

    /// The exponent to ten and the mantissa of a decimal fraction (RFC 8949, 3.4.4), after its tag.
    fn decimal(&mut self) -> Result<Value, DecodeError> {
        if self.array()? != Some(2) {
            return Err(self.malformed("a decimal fraction is not two integers"));
        }
        let (exponent, mantissa) = (self.integer()?, self.integer()?);
        let float: f64 = format!("{mantissa}e{exponent}").parse().map_err(|_| self.malformed("no decimal fraction"))?;
        if float.is_finite() { Ok(Value::Float(float)) } else { Err(self.malformed("a number is not finite")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectLink;

    fn read(path: &str, payload: &[u8]) -> Result<Value, DecodeError> {
        decode(&path.parse().expect("a path"), payload).map(|mut records| records.remove(0).value)
    }

    #[test]
    fn the_types_of_a_value_are_read_and_written() {
        for (path, value, bytes) in [
            ("/3/0/9", Value::Integer(100), &b"\x18\x64"[..]),
            ("/3/0/2", Value::Integer(-500), b"\x39\x01\xf3"),
            ("/1/0/11", Value::Unsigned(u64::MAX), b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("/3303/0/5700", Value::Float(21.5), b"\xfa\x41\xac\x00\x00"),
            ("/3303/0/5700", Value::Float(1.1), b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"),
            ("/3311/0/5850", Value::Boolean(true), b"\xf5"),
            ("/3/0/0", Value::String("ab".into()), b"\x62ab"),
            ("/5/0/0", Value::Opaque(vec![1, 2]), b"\x42\x01\x02"),
            ("/3/0/13", Value::Time(1_367_491_215), b"\xc1\x1a\x51\x82\x42\x8f"),
            ("/1/0/10", Value::ObjectLink(ObjectLink { object: 11, instance: 0 }), b"\x6411:0"),
        ] {
            assert_eq!(encode(&value), bytes, "{value:?}");
            assert_eq!(read(path, bytes), Ok(value));
        }
    }

    #[test]
    fn other_ways_to_write_the_same_are_read() {
        let number = |bytes: &[u8]| read("/3303/0/5700", bytes);
        assert_eq!(number(b"\xf9\x3e\x00"), Ok(Value::Float(1.5)));
        assert_eq!(number(b"\xf9\xc4\x00"), Ok(Value::Float(-4.0)));
        assert_eq!(number(b"\xf9\x00\x01"), Ok(Value::Float(5.960_464_477_539_063e-8)));
        assert_eq!(number(b"\x15"), Ok(Value::Float(21.0)));
        assert_eq!(number(b"\xc4\x82\x21\x19\x6a\xb3"), Ok(Value::Float(273.15)));
        assert_eq!(read("/3/0/13", b"\x1a\x51\x82\x42\x8f"), Ok(Value::Time(1_367_491_215)));
        assert_eq!(read("/3/0/0", b"\x7f\x61a\x61b\xff"), Ok(Value::String("ab".into())));
        assert_eq!(read("/5/0/0", b"\x5f\x41\x01\x41\x02\xff"), Ok(Value::Opaque(vec![1, 2])));
    }

    #[test]
    fn what_is_no_single_value_is_refused() {
        for bytes in [
            &b""[..],
            b"\x18",
            b"\x01\x02",
            b"\xf6",
            b"\x80",
            b"\xa0",
            b"\xf9\x7c\x00",
            b"\xfa\x7f\x80\x00\x00",
            b"\xc0\x60",
            b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x61\xff",
        ] {
            assert!(matches!(read("/26241/0/0", bytes), Err(DecodeError::Malformed { .. })), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_passed_over_may_not_lie_too_deep() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
        assert!(Reader::new("CBOR", &nested(limits::CBOR_NESTING_MAX - 1)).skip().is_ok());
        assert!(Reader::new("CBOR", &nested(limits::CBOR_NESTING_MAX)).skip().is_err());
        assert!(Reader::new("CBOR", &[0x9f, 0x01, 0xff]).skip().is_ok());
        assert!(Reader::new("CBOR", &[0xff]).skip().is_err());
        assert!(Reader::new("CBOR", &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).skip().is_err());
    }
}
