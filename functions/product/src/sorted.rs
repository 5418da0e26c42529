//! The orders of the catalogue and the search in it: the statements.
//!
//! A page in any order is read from an index of that order, from a place on. A search by words has two ways to
//! its page: it looks at the next products in the order, which finds a frequent word at once, or it takes all
//! products with rare words from the index of words, and sorts those. Neither looks at many products for few:
//! the first way ends after 10,000, and the second is taken for words that fewer products have. Two samples tell how
//! frequent the words are: the newest products, and each 16th of all.

use zerocart_proto::product::ProductSort;

use crate::{list_products::total, product_columns};

/// Where counting what is found ends.
pub(crate) const MAX_FOUND: i64 = 100;

/// A text for the parser of words, which takes `tea/cup` for a path, `4.5` for one number and `a@b.c` for one
/// address: without the punctuation of ASCII, they are words.
macro_rules! plain {
    ($text:literal) => {
        concat!(
            "translate(",
            $text,
            r##", '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')"##
        )
    };
}

/// The words of a product, as `products_words` has them.
macro_rules! words {
    () => {
        concat!(
            "to_tsvector('simple', ",
            plain!("name || ' ' || description"),
            ")"
        )
    };
}

/// The words of a product, which a migration may not have worked out yet.
macro_rules! its_words {
    () => {
        concat!("coalesce(words, ", words!(), ")")
    };
}

/// What is searched: all words of a parameter, of which the last may go on. Worked out once for a statement.
macro_rules! asked {
    ($text:literal) => {
        concat!(
            "(SELECT CASE WHEN numnode(words) = 0 THEN words ELSE (words::text || ':*')::tsquery END
              FROM plainto_tsquery('simple', ",
            plain!($text),
            ") AS words)"
        )
    };
}

/// The products of the catalogue from a place on: after the key and the id of $2 and $3, in an order.
macro_rules! from_place {
    ($columns:literal, $key:literal, $place:literal, $op:literal) => {
        concat!(
            "SELECT ",
            $columns,
            ", ",
            $key,
            " AS place FROM products
             WHERE archived_at IS NULL AND (",
            $key,
            ", id) ",
            $op,
            " (",
            $place,
            ", $3)"
        )
    };
}

/// The statements of an order: by a key, from the parameter of a place, in a direction.
macro_rules! statements {
    ($key:literal, $place:literal, $op:literal, $direction:literal) => {
        &Statements {
            page: concat!(
                "SELECT ",
                product_columns!(),
                ", created_at, ",
                total!(),
                " FROM (",
                from_place!("*", $key, $place, $op),
                in_order!($direction),
                " LIMIT 101) AS listed",
                in_order!($direction),
                " LIMIT $1"
            ),
            nearby: concat!(
                "SELECT ",
                product_columns!(),
                ", created_at FROM (",
                from_place!("*", $key, $place, $op),
                in_order!($direction),
                " LIMIT 10000) AS looked_at
                 WHERE ",
                its_words!(),
                " @@ ",
                asked!("$4::text"),
                in_order!($direction),
                " LIMIT $1"
            ),
            by_words: concat!(
                "WITH found AS MATERIALIZED (SELECT id, ",
                $key,
                " AS place FROM products WHERE archived_at IS NULL AND ",
                words!(),
                " @@ ",
                asked!("$4::text"),
                "), listed AS (SELECT * FROM found WHERE (place, id) ",
                $op,
                " (",
                $place,
                ", $3)",
                in_order!($direction),
                " LIMIT 101), page AS (
                 SELECT ",
                product_columns!(),
                ", created_at, place, id AS number FROM listed JOIN products USING (id)",
                in_order!($direction),
                " LIMIT $1)
                 SELECT page.*, total FROM
                 (SELECT count(*) AS total FROM (SELECT FROM found LIMIT 101) AS counted) AS counts
                 LEFT JOIN page ON true
                 ORDER BY place ",
                $direction,
                ", number ",
                $direction
            ),
        }
    };
}

macro_rules! in_order {
    ($direction:literal) => {
        concat!(" ORDER BY place ", $direction, ", id ", $direction)
    };
}

/// The statements of one order.
///
/// The parameters are: $1, how many products; $2 and $3, the key and the id of the place; $4, what is searched.
///
/// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter may be
/// a tenth of all products, which it would rather sort. So each list also has a limit that is written out: the
/// longest page and one more, by the rules of `proto/`. Where words are looked up in their index, there is no
/// such limit: a plan that expects to find some soon would look for them among all products.
#[derive(Debug)]
pub(crate) struct Statements {
    /// All products.
    pub(crate) page: &'static str,
    /// Those with the words, among the next 10,000.
    pub(crate) nearby: &'static str,
    /// Those with the words, of all; beside each, how many there are, up to one more than [`MAX_FOUND`]. If none is
    /// after the place, one row without a product has this number.
    pub(crate) by_words: &'static str,
}

const NEWEST: &Statements = statements!("created_at", "$2", "<", "DESC");
const PRICE_ASCENDING: &Statements =
    statements!("price", "round($2::bigint::numeric / 100, 2)", ">", "ASC");
const PRICE_DESCENDING: &Statements =
    statements!("price", "round($2::bigint::numeric / 100, 2)", "<", "DESC");
const NAME: &Statements = statements!("lower(name) COLLATE \"C\"", "$2", ">", "ASC");

/// The statements of an order.
pub(crate) fn statements(sort: ProductSort) -> &'static Statements {
    match sort {
        ProductSort::Unspecified | ProductSort::Newest => NEWEST,
        ProductSort::PriceAscending => PRICE_ASCENDING,
        ProductSort::PriceDescending => PRICE_DESCENDING,
        ProductSort::Name => NAME,
    }
}

/// The key of a product in the order by name.
pub(crate) const NAME_OF: &str = "SELECT lower(name) FROM products WHERE id = $1";

/// How many of the newest products have the words, up to one more than [`MAX_FOUND`].
macro_rules! count_newest {
    ($looked_at:literal) => {
        concat!(
            "SELECT count(*) FROM (SELECT FROM (
               SELECT name, description, words FROM products WHERE archived_at IS NULL
               ORDER BY created_at DESC, id DESC LIMIT ",
            $looked_at,
            ") AS looked_at WHERE ",
            its_words!(),
            " @@ ",
            asked!("$1::text"),
            " LIMIT 101) AS counted"
        )
    };
}

/// How many products that the index of words has, and a condition names, have the words; up to a limit.
macro_rules! count_by_words {
    ($condition:literal, $limit:literal) => {
        concat!(
            "WITH found AS MATERIALIZED (
               SELECT id FROM products WHERE archived_at IS NULL",
            $condition,
            " AND ",
            words!(),
            " @@ ",
            asked!("$1::text"),
            "
             ) SELECT count(*) FROM (SELECT FROM found LIMIT ",
            $limit,
            ") AS counted"
        )
    };
}

/// Of all products, up to one more than [`MAX_FOUND`].
pub(crate) const COUNT_BY_WORDS: &str = count_by_words!("", "101");

/// What two samples say of the words, in one round trip: how many of the newest 500 products have them, and how many
/// of each 16th product (`products_words_sample`), up to 161. The second number is missing if the newest products
/// alone say that more than [`MAX_FOUND`] have them: 500 of them, or 4,000. If more than 20 of 500 have them, those
/// are counted sooner among 4,000 than in an index.
pub(crate) const ESTIMATE: &str = concat!(
    "SELECT newest, CASE WHEN newest > 100 THEN NULL
         WHEN newest > 20 AND (",
    count_newest!("4000"),
    ") > 100 THEN NULL
         ELSE (",
    count_by_words!(" AND get_byte(uuid_send(id), 15) & 15 = 0", "161"),
    ") END
     FROM (",
    count_newest!("500"),
    ") AS sample (newest)"
);
