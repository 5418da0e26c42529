//! E-mail addresses: what makes two of them the same.
//!
//! A character may be written in several ways that nobody can tell apart, and a domain in letters or in
//! its encoded form. All spellings of an address have one key, and one key has one account.

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};
use precis_profiles::{UsernameCaseMapped, precis_core::profile::Profile};
use unicode_normalization::UnicodeNormalization;
use zerocart_proto::{characters::is_invisible, validate::is_dot_atom};

/// An address as it was given, without the blanks around it.
#[derive(Debug)]
pub(crate) struct Address<'a> {
    /// This spelling.
    pub(crate) text: &'a str,
    /// This spelling in lower case, by which the accounts are found that were made before there were keys.
    pub(crate) email_key: String,
    /// The key of all its spellings; or what is wrong with it.
    pub(crate) key: Result<String, &'static str>,
}

impl<'a> Address<'a> {
    pub(crate) fn new(email: &'a str) -> Self {
        let text = email.trim();
        Self {
            text,
            email_key: text.to_lowercase(),
            key: key(text),
        }
    }

    /// The key; for an address that is none by the rules of now, as older accounts may have, its spelling.
    pub(crate) fn key_or_spelling(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.email_key)
    }
}

/// What all spellings of an address have in common.
fn key(email: &str) -> Result<String, &'static str> {
    const NO_ADDRESS: &str = "must be an e-mail address";
    let (local, domain) = email.split_once('@').ok_or(NO_ADDRESS)?;
    // UTS 46 passes over them.
    if email.contains(is_invisible) {
        return Err("must not contain invisible characters");
    }
    let local = key_of_local(local)
        .ok_or("has characters before the @ that a name must not have (RFC 8265)")?;
    if !is_dot_atom(&local) {
        return Err(NO_ADDRESS);
    }
    let domain = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| "has a domain that is no domain name (UTS 46)")?;
    Ok(format!("{local}@{domain}"))
}

/// The part before the @ in the form of the key; none if it has characters that it must not have.
fn key_of_local(local: &str) -> Option<String> {
    // Composed first: the profile refuses the parts of some characters, such as Hangul syllables.
    let local: String = local.nfc().collect();
    let local = UsernameCaseMapped::new().enforce(local).ok()?;
    // One letter, of which the case of the next one decides.
    Some(local.replace('ς', "σ"))
}

/// The beginning of an address as the key of that address begins.
///
/// What follows may change the key of a name in a domain that is not ASCII, so such a name has to be complete.
/// A text of which no address can begin stays what it is, in lower case.
pub(crate) fn beginning(text: &str) -> String {
    let of_local = |local: &str| key_of_local(local).unwrap_or_else(|| local.to_lowercase());
    let Some((local, domain)) = text.split_once('@') else {
        return of_local(text);
    };
    let key = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Allow,
        DnsLength::Ignore,
    );
    let domain = key.map_or_else(|_| domain.to_lowercase(), |key| key.into_owned());
    format!("{}@{domain}", of_local(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_have_one_key() {
        for (key, spellings) in [
            (
                "ada@example.com",
                &[
                    "Ada@Example.COM",
                    " ada@example.com\u{a0}",
                    "ａｄａ@ｅｘａｍｐｌｅ．com",
                ][..],
            ),
            (
                "a\u{e9}@example.com",
                &[
                    "a\u{e9}@example.com",
                    "ae\u{301}@example.com",
                    "A\u{c9}@EXAMPLE.com",
                ],
            ),
            (
                "a@xn--bcher-kva.example",
                &[
                    "a@bücher.example",
                    "a@BÜCHER.example",
                    "a@bu\u{308}cher。example",
                    "a@XN--BCHER-KVA.example",
                ],
            ),
            (
                "한글@example.com",
                &[
                    "한글@example.com",
                    "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}@example.com",
                ],
            ),
            (
                "νικοσ@example.com",
                &[
                    "ΝΙΚΟΣ@example.com",
                    "νικος@example.com",
                    "νικοσ@example.com",
                ],
            ),
            ("a.b+c@xn--fa-hia.example", &["a.b+c@faß.example"]),
        ] {
            for spelling in spellings {
                assert_eq!(
                    Address::new(spelling).key.as_deref(),
                    Ok(key),
                    "{spelling:?}"
                );
            }
        }
        // Different people.
        for (one, other) in [
            ("strasse@example.com", "straße@example.com"),
            ("a@strasse.example", "a@straße.example"),
            ("ada@example.com", "\u{430}da@example.com"),
        ] {
            assert_ne!(
                Address::new(one).key,
                Address::new(other).key,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (email, why) in [
            ("ada", "must be an e-mail address"),
            (
                "a\u{200d}@example.com",
                "must not contain invisible characters",
            ),
            (
                "a@exam\u{ad}ple.com",
                "must not contain invisible characters",
            ),
            (
                "\u{1f600}@example.com",
                "has characters before the @ that a name must not have (RFC 8265)",
            ),
            (
                "\u{fb01}@example.com",
                "has characters before the @ that a name must not have (RFC 8265)",
            ),
            (
                "a\u{5e9}@example.com",
                "has characters before the @ that a name must not have (RFC 8265)",
            ),
            // What is at full width is what it is at half.
            ("a\u{ff20}b@example.com", "must be an e-mail address"),
            (
                "a\u{ff0e}\u{ff0e}b@example.com",
                "must be an e-mail address",
            ),
            (
                "a@xn--a.example",
                "has a domain that is no domain name (UTS 46)",
            ),
            (
                "a@b\u{ff0f}c.example",
                "has a domain that is no domain name (UTS 46)",
            ),
            (
                "a@ex_ample.com",
                "has a domain that is no domain name (UTS 46)",
            ),
        ] {
            assert_eq!(Address::new(email).key, Err(why), "{email:?}");
        }
    }

    #[test]
    fn what_an_address_begins_with_is_what_its_key_begins_with() {
        for (text, beginning) in [
            ("", ""),
            ("A", "a"),
            ("ＡＤ", "ad"),
            ("ae\u{301}", "a\u{e9}"),
            ("Νικος", "νικοσ"),
            ("Ada@", "ada@"),
            ("ada@Ex", "ada@ex"),
            ("ada@ex-", "ada@ex-"),
            ("ada@example.", "ada@example."),
            ("ada@Bücher", "ada@xn--bcher-kva"),
            ("ada@bu\u{308}cher.ex", "ada@xn--bcher-kva.ex"),
            ("ada@xn--b", "ada@xn--b"),
            ("ada@ｅｘ", "ada@ex"),
            // No address begins so.
            ("A B%_\\", "a b%_\\"),
            ("a@B_", "a@b_"),
            ("@EX", "@ex"),
            ("a@B@C", "a@b@c"),
        ] {
            assert_eq!(super::beginning(text), beginning, "{text:?}");
        }
    }

    /// A key is a spelling of its address, so that it leads nowhere else; and what the database had as a
    /// key before is no way around this one.
    #[test]
    fn a_key_has_itself_as_key() {
        let mut known = 0;
        for c in '\0'..=char::MAX {
            let email = format!("a{c}@b.example");
            let address = Address::new(&email);
            let Ok(key) = &address.key else { continue };
            known += 1;
            // Cherokee was written in capitals before it had small letters, which the profile refuses.
            if ('\u{13a0}'..='\u{13f5}').contains(&c) {
                assert_eq!(*key, address.email_key);
                continue;
            }
            assert_eq!(Address::new(key).key.as_ref(), Ok(key), "{email:?}");
            assert_eq!(
                Address::new(&address.email_key).key.as_ref(),
                Ok(key),
                "{email:?}"
            );
        }
        assert!(known > 90_000, "{known}");
    }

    /// As the migration has it.
    #[test]
    fn in_ascii_the_key_is_the_address_in_lower_case() {
        let atext = (0..0x7f)
            .map(char::from)
            .filter(|c| is_dot_atom(&c.to_string()));
        for c in atext {
            for domain in ["Example.COM", "b--c.4u", "127.0.0.1", "a-b.C1"] {
                let email = format!("A{c}.{c}@{domain}");
                let address = Address::new(&email);
                assert_eq!(address.key.as_ref(), Ok(&address.email_key), "{email}");
            }
        }
    }
}
