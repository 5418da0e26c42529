//! The query of a URL: its parameters that name fields of the request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use zerocart_core::Error;
use zerocart_proto::validate::Field;

/// The parameters that name a field, in order, as name and value. All others are ignored: links
/// pick up parameters such as `utm_source` that mean nothing here.
///
/// A value that is no UTF-8 is an error.
pub(super) fn known<'a>(
    query: &'a str,
    fields: &'static [Field],
) -> impl Iterator<Item = Result<(String, Cow<'a, str>), Error>> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter_map(move |(name, value)| {
        let name = unescape(name)?;
        if !fields.iter().any(|field| field.is_called(&name)) {
            return None;
        }
        let value = unescape(value);
        let value = value.ok_or_else(|| Error::field(name.as_ref(), "must be UTF-8"));
        Some(value.map(|value| (name.into_owned(), value)))
    })
}

/// Percent-decodes a part of a query, where `+` is a space.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    Some(Cow::Owned(
        percent_decode_str(&spaced).decode_utf8().ok()?.into_owned(),
    ))
}
