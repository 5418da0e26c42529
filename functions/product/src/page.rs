//! Page tokens: the place in the catalogue after which the next page begins, and the list that it is in.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zerocart_core::Error;
use zerocart_proto::product::ProductSort;

/// The year 2255: far inside of what PostgreSQL's timestamptz can hold. And more cents than a price has.
pub(crate) const MAX_KEY: u64 = 1 << 53;

/// What a token says beside the order, in the same byte.
const BY_WORDS: u8 = 0x40;
const UNCOUNTED: u8 = 0x80;

/// A list: an order, and what is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List<'a> {
    pub(crate) sort: ProductSort,
    /// Without blanks around it; empty for all products.
    pub(crate) search: &'a str,
}

impl<'a> List<'a> {
    pub(crate) fn new(sort: ProductSort, search: &'a str) -> Self {
        Self {
            // One order has one name.
            sort: match sort {
                ProductSort::Unspecified => ProductSort::Newest,
                sort => sort,
            },
            search: search.trim(),
        }
    }

    /// All products, newest first.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::new(ProductSort::Newest, "")
    }

    /// Tells lists apart. A later version may have another digest. Then a token that a client has is refused, and
    /// the client begins again with the first page.
    fn digest(self) -> [u8; 8] {
        let mut hasher = DefaultHasher::new();
        self.search.hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}

/// The last product of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: Key,
    pub(crate) id: Uuid,
    /// What the pages before have found out of a search.
    pub(crate) known: Known,
}

/// By what a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// When it was created, to the microsecond.
    CreatedAt(SystemTime),
    /// Its price.
    Cents(i64),
    /// Its name, which is found by the id: a token is no place for a long text.
    Name,
}

/// What is known of a search. It chooses the way to a page, never what is on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Few products have the words.
    pub(crate) by_words: bool,
    /// More products have the words than are counted.
    pub(crate) uncounted: bool,
}

impl Place {
    /// The token of this place. Clients pass it on unread.
    pub(crate) fn to_token(self, list: List<'_>) -> String {
        let key = match self.key {
            Key::CreatedAt(at) => at
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_micros() as u64),
            Key::Cents(cents) => cents.unsigned_abs(),
            Key::Name => 0,
        };
        let mut bytes = key.to_be_bytes().to_vec();
        bytes.extend(self.id.as_bytes());
        if !list.is_plain() {
            let known = [
                (self.known.by_words, BY_WORDS),
                (self.known.uncounted, UNCOUNTED),
            ];
            let flags = known.iter().filter(|(is, _)| *is).map(|(_, flag)| flag);
            bytes.push(list.sort as u8 | flags.sum::<u8>());
            bytes.extend(list.digest());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when it is not one of this list.
    pub(crate) fn from_token(token: &str, list: List<'_>) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| not_ours())?;
        let (key, rest) = bytes.split_first_chunk().ok_or_else(not_ours)?;
        let (id, rest) = rest.split_first_chunk().ok_or_else(not_ours)?;
        let key = u64::from_be_bytes(*key);
        if key > MAX_KEY {
            return Err(not_ours());
        }
        let mut known = Known::default();
        match rest.split_first() {
            None if list.is_plain() => {}
            Some((flags, digest)) if !list.is_plain() && *digest == list.digest() => {
                known.by_words = flags & BY_WORDS != 0;
                known.uncounted = flags & UNCOUNTED != 0;
                if flags & !(BY_WORDS | UNCOUNTED) != list.sort as u8 {
                    return Err(not_ours());
                }
            }
            _ => return Err(not_ours()),
        }
        Ok(Self {
            key: match list.sort {
                ProductSort::Unspecified | ProductSort::Newest => {
                    Key::CreatedAt(UNIX_EPOCH + Duration::from_micros(key))
                }
                ProductSort::PriceAscending | ProductSort::PriceDescending => {
                    Key::Cents(key as i64)
                }
                ProductSort::Name => Key::Name,
            },
            id: Uuid::from_bytes(*id),
            known,
        })
    }
}

/// The error for a token of another list, or of none.
pub(crate) fn not_ours() -> Error {
    Error::field("page_token", "is not a page token of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list in each order, of all products and of a search.
    fn lists() -> Vec<List<'static>> {
        let sorts = [
            ProductSort::Newest,
            ProductSort::PriceAscending,
            ProductSort::PriceDescending,
            ProductSort::Name,
        ];
        let searches = ["", "tea", "green tea"];
        let all = sorts
            .into_iter()
            .flat_map(|sort| searches.map(|s| List::new(sort, s)));
        all.collect()
    }

    fn place(list: List<'_>) -> Place {
        Place {
            key: match list.sort {
                ProductSort::Unspecified | ProductSort::Newest => {
                    Key::CreatedAt(UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456))
                }
                ProductSort::Name => Key::Name,
                _ => Key::Cents(1999),
            },
            id: Uuid::now_v7(),
            known: Known::default(),
        }
    }

    #[test]
    fn a_token_leads_back_to_its_place_and_into_no_other_list() {
        for list in lists() {
            let mut place = place(list);
            place.known.by_words = !list.search.is_empty();
            place.known.uncounted = list.search == "tea";
            let token = place.to_token(list);
            assert!(token.len() <= 64, "{token}");
            for other in lists() {
                match Place::from_token(&token, other) {
                    Ok(found) => assert_eq!((found, other), (place, list)),
                    Err(error) => {
                        assert_ne!(other, list);
                        assert_eq!(error.violations()[0].field, "page_token");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_token_of_ours_names_the_field() {
        for list in lists() {
            let place = place(list);
            let mut long = URL_SAFE_NO_PAD.decode(place.to_token(list)).unwrap();
            long.push(0);
            let mut late = long.clone();
            late.pop();
            late[0] = 0xff;
            let [long, late] = [long, late].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            for token in ["x", "AAAA", "!!", &long, &late] {
                let error = Place::from_token(token, list).unwrap_err();
                assert_eq!(error.violations()[0].field, "page_token", "{token}");
            }
        }
    }
}
