//! Texts that are hidden, and texts that are not.

use super::*;

const CARD: &str = "4111111111111111";
const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

fn line(line: &str) -> String {
    let mut written = Vec::new();
    Redacted(&mut written).write_all(line.as_bytes()).unwrap();
    String::from_utf8(written).unwrap()
}

#[test]
fn what_looks_like_a_secret_is_hidden() {
    for (secret, hidden) in [
        (TOKEN.to_owned(), "[redacted]"),
        ("a eyJhbGciOiJub25lIn0. b".to_owned(), "a [redacted] b"),
        (format!("token={TOKEN}&x=1"), "token=[redacted]&x=1"),
        ("Bearer hunter2, more".to_owned(), "Bearer [redacted], more"),
        ("bearer  a/b+c==".to_owned(), "bearer  [redacted]"),
        (
            r#"{"kty":"OKP","d":"nWGxne_9WmC6","x":"11qYAYKx"}"#.to_owned(),
            r#"{"kty":"OKP","d":"[redacted]","x":"11qYAYKx"}"#,
        ),
        (
            r#"{"m":"{\"d\" : \"nWGxne_9WmC6\"}"}"#.to_owned(),
            r#"{"m":"{\"d\" : \"[redacted]\"}"}"#,
        ),
        (
            r#"{"m":"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"}"#.to_owned(),
            r#"{"m":"[redacted]"}"#,
        ),
        ("-----BEGIN EC PRIVATE KEY-----".to_owned(), "[redacted]"),
        (
            r#"{"m":"x=\"-----BEGIN PRIVATE KEY-----\nMC4C\"","n":"1"}"#.to_owned(),
            r#"{"m":"x=\"[redacted]\"","n":"1"}"#,
        ),
        (
            "postgres://user:p@ss@host/db".to_owned(),
            "postgres://user:[redacted]@host/db",
        ),
        (
            "x://user:a:b@host:5432/db?c=d@e".to_owned(),
            "x://user:[redacted]@host:5432/db?c=d@e",
        ),
        (CARD.to_owned(), "[redacted]"),
        (format!("visa{CARD}x"), "visa[redacted]x"),
        ("no 4111 1111 1111 1111.".to_owned(), "no [redacted]."),
        ("4111-1111-1111-1111".to_owned(), "[redacted]"),
        (format!("{CARD} 12"), "[redacted] 12"),
        ("4111 1111 1111 1111 12/27".to_owned(), "[redacted] 12/27"),
        (
            "1 4111 1111 1111 1111 1234 5678".to_owned(),
            "1 [redacted] 1234 5678",
        ),
        (format!("12-{CARD}"), "12-[redacted]"),
        // 12, 15 and 19 digits.
        ("630495060000".to_owned(), "[redacted]"),
        ("378282246310005".to_owned(), "[redacted]"),
        ("6304950600000000007".to_owned(), "[redacted]"),
        (
            format!(r#"{{"n":"{CARD}","a":"\"{CARD}"}}"#),
            r#"{"n":"[redacted]","a":"\"[redacted]"}"#,
        ),
        (
            "to ada.l+x@example.com, bücher@bücher.example.".to_owned(),
            "to [redacted], [redacted].",
        ),
        (
            r#"{"to":"ada@xn--bcher-kva.example"}"#.to_owned(),
            r#"{"to":"[redacted]"}"#,
        ),
        (
            r#"{"to":"a\nada@example.com"}"#.to_owned(),
            r#"{"to":"a\n[redacted]"}"#,
        ),
        (
            format!("{CARD}@example.com {CARD}"),
            "[redacted]@example.com [redacted]",
        ),
        (
            format!("{CARD} and {TOKEN} and {CARD}"),
            "[redacted] and [redacted] and [redacted]",
        ),
    ] {
        assert_eq!(line(&secret), hidden, "{secret}");
    }
}

#[test]
fn what_only_resembles_one_is_not() {
    for harmless in [
        "",
        "the Authorization header is not of the scheme Bearer",
        "forbearer x",
        "eyJ is how a token begins",
        "keyJhbGciOiJFZERTQSJ9",
        r#"{"id":"x","d":5}"#,
        "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
        "http://127.0.0.1:8000/users",
        "http://[::1]:8000/a:b",
        "4111111111111112",
        "41111111111",
        "41111111111111110000",
        "2026-11-22T21:10:09.892967Z",
        "01a20518-52e4-7771-8750-3d56d15b9843",
        "11111111-1111-4111-8111-11111111111a",
        "80326ef5502768e11b3fac4ec3df0abc",
        "411111111111111a",
        "name@1.2.3, root@localhost, @example.com, a@b, image@sha256:80326ef5",
        "postgres://role@db.example.com:5432/orders",
        // A number of JSON is a measurement: it stays, or the line would be no JSON.
        r#"{"at":4111111111111111,"ms":7.4111111111111111,"t":"x"}"#,
        "not ASCII: Ä ö €",
    ] {
        assert_eq!(line(harmless), harmless);
        assert!(matches!(text(harmless), Cow::Borrowed(_)) || harmless.starts_with('{'));
    }
}

#[test]
fn a_text_of_an_error_is_no_json() {
    assert_eq!(text(CARD), REDACTED);
    assert_eq!(text(&format!("{{{CARD}}}")), "{[redacted]}");
    assert_eq!(text(&format!("Ä {TOKEN} ö")), "Ä [redacted] ö");
}

#[test]
fn luhn_finds_every_wrong_digit_and_most_swaps() {
    let digits: Vec<u8> = CARD.bytes().map(|byte| byte - b'0').collect();
    assert!(luhn(&digits));
    for place in 0..digits.len() {
        for digit in (0..10).filter(|digit| *digit != digits[place]) {
            let mut wrong = digits.clone();
            wrong[place] = digit;
            assert!(!luhn(&wrong), "{wrong:?}");
        }
    }
}

/// Any cut of a line, and any bytes, are read without a panic.
#[test]
fn whatever_comes_is_read() {
    let all = format!(
        r#"{{"m":"Bearer {TOKEN}","d":"abc","k":"-----BEGIN PRIVATE KEY-----","u":"a://b:c@d {CARD}"}}"#
    );
    for start in 0..all.len() {
        for end in start..=all.len() {
            line(&all[start..end]);
        }
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    Redacted(io::sink()).write_all(&bytes).unwrap();
}
