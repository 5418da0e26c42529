//! Proto3 JSON (ProtoJSON), where it is not what serde derives: `null` is absent, numbers may be
//! strings, enums have names.
//!
//! What is refused is said without the value, which may be a secret.

use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use crate::{decimal::Decimal, validate::has_decimals};

/// Reads a message from an object, and from nothing else: what serde derives takes a list, too.
///
/// # Errors
///
/// Those of `deserializer`, for what is not the message's JSON.
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(Object(deserializer))
}

/// An enum of the contract. Messages hold its numbers.
pub(crate) trait Enumeration {
    /// The number of the value of this name.
    fn number(name: &str) -> Option<i32>;
    /// The name of the value of this number.
    fn name(number: i32) -> Option<&'static str>;
}

include!(concat!(env!("OUT_DIR"), "/json.rs"));

/// A deserializer that gives objects.
struct Object<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A message as a part of another value.
struct Part<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(Self)
    }
}

/// A string or a flag.
pub(crate) fn absent_or<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A string that may be absent.
pub(crate) fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// A message that may be absent.
pub(crate) fn message<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let part = Option::<Part<T>>::deserialize(deserializer)?;
    Ok(part.map(|part| part.0))
}

/// A list of messages.
pub(crate) fn messages<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let parts = Option::<Vec<Part<T>>>::deserialize(deserializer)?;
    Ok(parts.into_iter().flatten().map(|part| part.0).collect())
}

/// A number.
pub(crate) fn number<'de, T: Number, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(optional_number(deserializer)?.unwrap_or_default())
}

/// A number that may be absent.
pub(crate) fn optional_number<'de, T: Number, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(token) = Token::read(deserializer)? else {
        return Ok(None);
    };
    T::of(&token.text).map(Some).ok_or_else(wrong_type)
}

/// A double with at most so many decimal places, in the digits that were written: `1e-400` and
/// `19.999999999999999999` are nearest to 0 and 20, and are neither. What the double itself shows
/// is told by the rules of the field, beside all else that is wrong.
pub(crate) fn decimal<'de, const PLACES: u32, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<f64, D::Error> {
    Ok(optional_decimal::<PLACES, D>(deserializer)?.unwrap_or_default())
}

/// Such a double that may be absent.
pub(crate) fn optional_decimal<'de, const PLACES: u32, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let Some(token) = Token::read(deserializer)? else {
        return Ok(None);
    };
    let value = f64::of(&token.text).ok_or_else(wrong_type)?;
    let written = Decimal::parse(&token.text).map_or(0, |decimal| decimal.places());
    if written > i64::from(PLACES) && has_decimals(value, PLACES) {
        let says = crate::validate::too_exact(PLACES);
        return Err(D::Error::custom(says));
    }
    Ok(Some(value))
}

/// A value of an enum: its name or its number. The rules of the field refuse an unknown number.
pub(crate) fn choice<'de, E: Enumeration, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<i32, D::Error> {
    match Token::read(deserializer)? {
        Some(token) => of_choice::<E, D::Error>(&token),
        None => Ok(0),
    }
}

/// A list of values of an enum.
pub(crate) fn choices<'de, E: Enumeration, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<i32>, D::Error> {
    struct Item<E>(i32, PhantomData<E>);

    impl<'de, E: Enumeration> Deserialize<'de> for Item<E> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            // In a list, null is not a value.
            let token = Token::read(deserializer)?.ok_or_else(wrong_type)?;
            let number = of_choice::<E, D::Error>(&token)?;
            Ok(Self(number, PhantomData))
        }
    }

    let items = Option::<Vec<Item<E>>>::deserialize(deserializer)?;
    Ok(items.into_iter().flatten().map(|item| item.0).collect())
}

fn of_choice<E: Enumeration, R: Error>(token: &Token) -> Result<i32, R> {
    if token.quoted {
        return E::number(&token.text).ok_or_else(|| R::unknown_variant("", &[]));
    }
    i32::of(&token.text).ok_or_else(wrong_type)
}

fn wrong_type<E: Error>() -> E {
    E::custom("has the wrong type, or is out of range")
}

/// What stands for a number or for a value of an enum, letter by letter: a double would have lost
/// what was written.
struct Token {
    text: String,
    quoted: bool,
}

impl Token {
    /// None for null.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let quoted = raw.get().starts_with('"');
        let text = match quoted {
            true => serde_json::from_str(raw.get()).map_err(|_| wrong_type())?,
            false => raw.get().to_owned(),
        };
        Ok(Some(Self { text, quoted }))
    }
}

/// A number of a message.
pub(crate) trait Number: Default {
    /// The number that this text is, by the grammar of JSON; none when it is none of this type.
    fn of(text: &str) -> Option<Self>;
}

impl Number for i32 {
    fn of(text: &str) -> Option<Self> {
        Self::try_from(Decimal::parse(text)?.whole()?).ok()
    }
}

impl Number for f64 {
    fn of(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(Self::NAN),
            "Infinity" => Some(Self::INFINITY),
            "-Infinity" => Some(Self::NEG_INFINITY),
            // Digits that are more than any double are not infinity.
            _ => Decimal::parse(text)
                .and_then(|_| text.parse().ok())
                .filter(|value: &Self| value.is_finite()),
        }
    }
}

/// Writes a double, also one that is no number of JSON.
pub(crate) fn write_double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        value if value.is_finite() => serializer.serialize_f64(value),
        value if value.is_nan() => serializer.serialize_str("NaN"),
        value if value > 0.0 => serializer.serialize_str("Infinity"),
        _ => serializer.serialize_str("-Infinity"),
    }
}

/// Writes a double that may be absent.
pub(crate) fn write_optional_double<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => write_double(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Writes a value of an enum: its name, and its number where it has none.
pub(crate) fn write_choice<E: Enumeration, S: Serializer>(
    number: &i32,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match E::name(*number) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_i32(*number),
    }
}

/// Writes a list of values of an enum.
pub(crate) fn write_choices<E: Enumeration, S: Serializer>(
    numbers: &[i32],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    struct Item<E>(i32, PhantomData<E>);

    impl<E: Enumeration> Serialize for Item<E> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            write_choice::<E, S>(&self.0, serializer)
        }
    }

    serializer.collect_seq(numbers.iter().map(|number| Item::<E>(*number, PhantomData)))
}
