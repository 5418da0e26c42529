//! Page tokens: the place in the catalogue after which the next page begins.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zerocart_core::Error;

/// The last product of a page: when it was created, to the microsecond, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) created_at: SystemTime,
    pub(crate) id: Uuid,
}

impl Place {
    /// The token of this place. Clients pass it on unread.
    pub(crate) fn to_token(self) -> String {
        let since_1970 = self.created_at.duration_since(UNIX_EPOCH);
        let created_us = since_1970.map_or(0, |since| since.as_micros() as u64);
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&created_us.to_be_bytes());
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
        let created_us = u64::from_be_bytes(created.try_into().map_err(|_| invalid())?);
        // The year 2255: far inside of what PostgreSQL's timestamptz can hold.
        if created_us > 1 << 53 {
            return Err(invalid());
        }
        Ok(Self {
            created_at: UNIX_EPOCH + Duration::from_micros(created_us),
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
            created_at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
            id: Uuid::now_v7(),
        };
        assert_eq!(Place::from_token(&place.to_token()).unwrap(), place);
    }

    #[test]
    fn what_is_no_token_of_ours_names_the_field() {
        let too_late = Place {
            created_at: UNIX_EPOCH + Duration::from_micros((1 << 53) + 1),
            id: Uuid::nil(),
        };
        for token in ["x", "AAAA", "!!", &too_late.to_token()] {
            let error = Place::from_token(token).unwrap_err();
            assert_eq!(error.violations()[0].field, "page_token", "{token}");
        }
    }
}
