//! Page tokens: the account after which the next page begins, and its list.

use uuid::Uuid;
use zerocart_core::Error;

/// The lists, in tokens.
const NEWEST: &str = "newest";
const EMAIL: &str = "email";
const NAME: &str = "name";

/// The last account of a page. A token has its id and no e-mail and no name, as URLs are written into logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Among all accounts.
    Newest(Uuid),
    /// Among those that were found by their e-mail.
    Email(Uuid),
    /// Among those that were found by their name.
    Name(Uuid),
}

impl Place {
    pub(crate) fn id(self) -> Uuid {
        let (Self::Newest(id) | Self::Email(id) | Self::Name(id)) = self;
        id
    }

    /// The token of this place. Clients pass it on unread.
    pub(crate) fn to_token(self) -> String {
        let list = match self {
            Self::Newest(_) => NEWEST,
            Self::Email(_) => EMAIL,
            Self::Name(_) => NAME,
        };
        format!("{list}.{}", self.id())
    }

    /// The place of a token.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when it is not one of ours.
    pub(crate) fn from_token(token: &str) -> Result<Self, Error> {
        let (list, id) = token.split_once('.').ok_or_else(not_ours)?;
        let id = Uuid::try_parse(id).map_err(|_| not_ours())?;
        match list {
            NEWEST => Ok(Self::Newest(id)),
            EMAIL => Ok(Self::Email(id)),
            NAME => Ok(Self::Name(id)),
            _ => Err(not_ours()),
        }
    }
}

/// The error for a token of another list, or of none.
pub(crate) fn not_ours() -> Error {
    Error::field("page_token", "is not a page token of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        let id = Uuid::now_v7();
        for place in [Place::Newest(id), Place::Email(id), Place::Name(id)] {
            assert_eq!(Place::from_token(&place.to_token()).unwrap(), place);
        }
    }

    #[test]
    fn what_is_no_token_of_ours_names_the_field() {
        let another_list = format!("age.{}", Uuid::now_v7());
        for token in ["x", "!!", "name", "name.", "email.x", &another_list] {
            let error = Place::from_token(token).unwrap_err();
            assert_eq!(error.violations()[0].field, "page_token", "{token}");
        }
    }
}
