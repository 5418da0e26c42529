//! Tokens with a good signature and bad claims or headers.

use std::time::Duration;

use serde_json::{Value, json};
use zerocart_auth::{LEEWAY_S, Token, TokenError};

use super::{Fleet, NOW_S, USER, at, claims, claims_with, forge, header};

#[test]
fn expiry_is_exact() {
    let fleet = Fleet::new();
    let token = Token::new(fleet.user_token());
    let exp = NOW_S + 60;
    let last = at(exp + LEEWAY_S) - Duration::from_nanos(1);
    assert!(fleet.verifier.verify(&token, at(NOW_S)).is_ok());
    assert!(fleet.verifier.verify(&token, at(exp)).is_ok());
    assert!(fleet.verifier.verify(&token, last).is_ok());
    for late in [
        at(exp + LEEWAY_S),
        at(exp + LEEWAY_S + 1),
        at(u64::MAX >> 2),
    ] {
        let refused = fleet.verifier.verify(&token, late);
        assert_eq!(refused, Err(TokenError::Expired));
    }
}

#[test]
fn not_before_is_exact() {
    let fleet = Fleet::new();
    let header = header(fleet.user.kid()).to_string();
    let with = |nbf| forge(&fleet.user, &header, &claims_with(json!({"nbf": nbf})));
    assert!(fleet.verify(&with(NOW_S + LEEWAY_S)).is_ok());
    let early = fleet.verify(&with(NOW_S + LEEWAY_S + 1));
    assert_eq!(early, Err(TokenError::NotYetValid));
}

/// Claims that are signed with the right key and still wrong.
#[test]
fn bad_claims() {
    use TokenError::{Expired, Issuer, Malformed, Role, Subject};
    let fleet = Fleet::new();
    let user = |changes| (&fleet.user, claims_with(changes));
    let service = |changes| {
        let mut all = json!({"iss": "zerocart-service", "sub": "create-order", "role": "service"});
        let members = all.as_object_mut().unwrap();
        members.extend(Value::as_object(&changes).unwrap().clone());
        (&fleet.service, claims_with(all))
    };
    let twice = |name: &str, value: Value| {
        let text = claims().to_string();
        (&fleet.user, format!("{{{:?}:{value},{}", name, &text[1..]))
    };
    let table = [
        // Absent.
        (user(json!({"iss": null})), Malformed),
        (user(json!({"sub": null})), Malformed),
        (user(json!({"role": null})), Malformed),
        (user(json!({"iat": null})), Malformed),
        (user(json!({"gen": -1})), Malformed),
        (user(json!({"gen": "1"})), Malformed),
        (user(json!({"exp": null})), Malformed),
        // Twice: no parser is to read another value than another parser.
        (twice("iss", json!("zerocart-user")), Malformed),
        (twice("sub", json!(USER)), Malformed),
        (twice("role", json!("admin")), Malformed),
        (twice("iat", json!(NOW_S)), Malformed),
        (twice("exp", json!(NOW_S + 9999)), Malformed),
        // Of the wrong type.
        (user(json!({"iss": ["zerocart-user"]})), Malformed),
        (user(json!({"sub": 7})), Malformed),
        (user(json!({"role": ["admin"]})), Malformed),
        (user(json!({"exp": "1900000000"})), Malformed),
        (user(json!({"exp": -1})), Malformed),
        (user(json!({"exp": 1e300})), Malformed),
        (user(json!({"nbf": "soon"})), Malformed),
        ((&fleet.user, "[]".to_owned()), Malformed),
        ((&fleet.user, "not json".to_owned()), Malformed),
        // For somebody else.
        (user(json!({"aud": "another-shop"})), Malformed),
        (user(json!({"aud": ["another-shop"]})), Malformed),
        // The other issuer's name, or its role, under this issuer's key.
        (user(json!({"iss": "zerocart-service"})), Issuer),
        (
            user(json!({"iss": "zerocart-service", "sub": "x", "role": "service"})),
            Issuer,
        ),
        (user(json!({"iss": "Zerocart-User"})), Issuer),
        (user(json!({"role": "service"})), Role),
        (service(json!({"role": "admin"})), Role),
        (service(json!({"role": "customer"})), Role),
        (service(json!({"iss": "zerocart-user"})), Issuer),
        (user(json!({"role": "root"})), Role),
        (user(json!({"role": "Admin"})), Role),
        (user(json!({"role": ""})), Role),
        // Subjects.
        (user(json!({"sub": ""})), Subject),
        (user(json!({"sub": "ann"})), Subject),
        (user(json!({"sub": USER.to_uppercase()})), Subject),
        (service(json!({"sub": ""})), Subject),
        // Long ago.
        (user(json!({"exp": 0})), Expired),
    ];
    for ((pair, claims), expected) in table {
        let token = forge(pair, &header(pair.kid()).to_string(), &claims);
        assert_eq!(fleet.verify(&token), Err(expected), "{claims}");
    }
    let (pair, claims) = service(json!({}));
    let token = forge(pair, &header(pair.kid()).to_string(), &claims);
    assert!(fleet.verify(&token).is_ok(), "the table's base is good");
    let (pair, claims) = user(json!({"jti": "unknown claims are ignored"}));
    let token = forge(pair, &header(pair.kid()).to_string(), &claims);
    assert!(fleet.verify(&token).is_ok(), "the table's base is good");
}

/// Headers that are signed with the right key and still wrong.
#[test]
fn bad_headers() {
    use TokenError::{Algorithm, Malformed, UnknownKey};
    let fleet = Fleet::new();
    let kid = fleet.user.kid();
    let table = [
        (json!({"alg": "EdDSA"}).to_string(), UnknownKey),
        (json!({"alg": "EdDSA", "kid": ""}).to_string(), UnknownKey),
        (json!({"alg": "EdDSA", "kid": "no"}).to_string(), UnknownKey),
        (json!({"alg": "EdDSA", "kid": 1}).to_string(), Malformed),
        (json!({"kid": kid}).to_string(), Malformed),
        (json!({"alg": "none", "kid": kid}).to_string(), Malformed),
        (json!({"alg": "None", "kid": kid}).to_string(), Malformed),
        (json!({"alg": "eddsa", "kid": kid}).to_string(), Malformed),
        (json!({"alg": "Ed25519", "kid": kid}).to_string(), Malformed),
        (json!({"alg": "HS256", "kid": kid}).to_string(), Algorithm),
        (json!({"alg": "RS256", "kid": kid}).to_string(), Algorithm),
        (json!({"alg": "ES256", "kid": kid}).to_string(), Algorithm),
        (
            json!({"alg": "EdDSA", "kid": kid, "crit": ["exp"]}).to_string(),
            Malformed,
        ),
        (
            format!(r#"{{"alg":"HS256","alg":"EdDSA","kid":{kid:?}}}"#),
            Malformed,
        ),
        (
            format!(r#"{{"alg":"EdDSA","kid":"no","kid":{kid:?}}}"#),
            Malformed,
        ),
        ("[]".to_owned(), Malformed),
        (String::new(), Malformed),
    ];
    for (header, expected) in table {
        let token = forge(&fleet.user, &header, &claims().to_string());
        assert_eq!(fleet.verify(&token), Err(expected), "{header}");
    }
}
