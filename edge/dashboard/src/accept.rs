//! The headers by which a client says what it takes: `Accept` and `Accept-Encoding` (RFC 9110, section 12.5).

use http::{HeaderMap, HeaderName, header};

use crate::files::Coding;

/// The highest weight, in thousandths.
const FULL: u16 = 1000;

/// The elements of a header, in small letters, each with its weight in thousandths.
fn elements(headers: &HeaderMap, name: HeaderName) -> Vec<(String, u16)> {
    let values = headers.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let elements = texts.flat_map(|text| text.split(','));
    elements
        .map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case("q").then(|| weight(value))
            });
            (name, weight.unwrap_or(FULL))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// A weight that cannot be read is none: the client does not want the element, as far as it can be told.
fn weight(text: &str) -> u16 {
    let number = text.trim().parse::<f32>().unwrap_or(0.0);
    // In range, by `clamp`; NaN becomes 0.
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 1000")]
    #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
    let thousandths = (number.clamp(0.0, 1.0) * f32::from(FULL)) as u16;
    thousandths
}

/// Whether a browser opens a page: it names `text/html`. A wildcard is not enough, because scripts and
/// programs send one with everything.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let mut elements = elements(headers, header::ACCEPT).into_iter();
    elements.any(|(name, weight)| name == "text/html" && weight > 0)
}

/// The coding that the client likes best, of those in `offered`, which are in our order. A client that names
/// no coding gets the plain content; so does one that takes nothing at all.
pub(crate) fn coding(headers: &HeaderMap, offered: &[Coding]) -> Coding {
    let elements = elements(headers, header::ACCEPT_ENCODING);
    let weight_of = |name: &str| {
        let of = |wanted: &str| elements.iter().find(|(name, _)| name == wanted);
        of(name).or_else(|| of("*")).map(|(_, weight)| *weight)
    };
    // Taken, if nothing says otherwise, but after each coding that is named.
    let mut best = (Coding::Plain, weight_of("identity").unwrap_or(0));
    for coding in offered.iter().rev() {
        let weight = weight_of(coding.name()).unwrap_or(0);
        if weight > 0 && weight >= best.1 {
            best = (*coding, weight);
        }
    }
    best.0
}
