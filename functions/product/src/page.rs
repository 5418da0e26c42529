//! Page tokens: the place in the catalogue after which the next page begins.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zerocart_runtime::Error;

/// The last product of a page: when it was created, in microseconds since 1970, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) created_us: i64,
    pub(crate) id: Uuid,
}

impl Place {
    /// The token of this place. Clients pass it on unread.
    pub(crate) fn to_token(self) -> String {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.created_us.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when it is not one of ours.
    pub(crate) fn from_token(token: &str) -> Result<Self, Error> {
        let invalid = || Error::field("page_token", "is not a page token of this list");
        let bytes: [u8; 24] = URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(invalid)?;
        let (created, id) = bytes.split_at(8);
        let created_us = i64::from_be_bytes(created.try_into().map_err(|_| invalid())?);
        // The query counts microseconds in a double, exact to 2^53: the year 2255.
        if !(0..=1 << 53).contains(&created_us) {
            return Err(invalid());
        }
        Ok(Self {
            created_us,
            id: Uuid::from_slice(id).map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        let place = Place {
            created_us: 1_700_000_000_123_456,
            id: Uuid::now_v7(),
        };
        assert_eq!(Place::from_token(&place.to_token()).unwrap(), place);
    }

    #[test]
    fn what_is_no_token_of_ours_names_the_field() {
        let before_1970 = Place {
            created_us: -1,
            id: Uuid::nil(),
        };
        for token in ["x", "AAAA", "!!", &before_1970.to_token()] {
            let error = Place::from_token(token).unwrap_err();
            assert_eq!(error.violations()[0].field, "page_token", "{token}");
        }
    }
}
