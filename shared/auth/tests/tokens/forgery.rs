//! Tokens without a good signature, and texts that are no token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, rand};
use serde_json::{Value, json};
use zerocart_auth::{KeyPair, MAX_TOKEN_BYTES, TokenError};

use super::{Fleet, claims, claims_with, forge, header, signing_input};

/// `alg: none` without a signature, and HMAC with the public key (in each form in which it is
/// published) as the secret.
#[test]
fn confused_algorithms() {
    let fleet = Fleet::new();
    let claims = claims().to_string();
    let public = fleet.user.public();
    for alg in ["none", "NONE", "nOnE", ""] {
        let input = signing_input(
            &json!({"alg": alg, "kid": public.kid()}).to_string(),
            &claims,
        );
        let refused = fleet.verify(&format!("{input}."));
        assert_eq!(refused, Err(TokenError::Malformed), "{alg:?}");
    }
    let (pem, jwk) = (public.to_pem(), public.to_jwk());
    for secret in [public.as_bytes().as_slice(), pem.as_bytes(), jwk.as_bytes()] {
        for (alg, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": public.kid()}).to_string();
            let input = signing_input(&header, &claims);
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert_eq!(fleet.verify(&token), Err(TokenError::Algorithm), "{alg}");
        }
    }
}

#[test]
fn tampering_breaks_the_signature() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header_part, payload) = input.split_once('.').unwrap();

    let admin = URL_SAFE_NO_PAD.encode(claims_with(json!({"role": "admin"})));
    let promoted = format!("{header_part}.{admin}.{signature}");
    assert_eq!(fleet.verify(&promoted), Err(TokenError::Signature));

    let same = header(fleet.user.kid()).to_string() + " ";
    let reworded = format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(same));
    assert_eq!(fleet.verify(&reworded), Err(TokenError::Signature));

    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(flipped));
        assert_eq!(fleet.verify(&forged), Err(TokenError::Signature), "{bit}");
    }
    for length in [0, 1, 32, 63, 65] {
        let mut other = bytes.clone();
        other.resize(length, 0);
        let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(other));
        assert_eq!(
            fleet.verify(&forged),
            Err(TokenError::Signature),
            "{length}"
        );
    }
}

#[test]
fn other_keys_do_not_count() {
    let fleet = Fleet::new();
    let stranger = KeyPair::generate().unwrap();
    let text = claims().to_string();
    let own = header(stranger.kid()).to_string();
    let claimed = header(fleet.user.kid()).to_string();
    let refused = fleet.verify(&forge(&stranger, &own, &text));
    assert_eq!(refused, Err(TokenError::UnknownKey));
    let refused = fleet.verify(&forge(&stranger, &claimed, &text));
    assert_eq!(refused, Err(TokenError::Signature));

    // The other issuer's key, under its own name and under this issuer's.
    let own = header(fleet.service.kid()).to_string();
    let refused = fleet.verify(&forge(&fleet.service, &own, &text));
    assert_eq!(refused, Err(TokenError::Issuer));
    let refused = fleet.verify(&forge(&fleet.service, &claimed, &text));
    assert_eq!(refused, Err(TokenError::Signature));

    // A key that the token brings along.
    let jwk: Value = serde_json::from_str(&stranger.public().to_jwk()).unwrap();
    for kid in [stranger.kid(), fleet.user.kid()] {
        let brought = json!({"alg": "EdDSA", "kid": kid, "jwk": jwk}).to_string();
        let refused = fleet.verify(&forge(&stranger, &brought, &text));
        assert!(matches!(
            refused,
            Err(TokenError::UnknownKey | TokenError::Signature)
        ));
    }
}

#[test]
fn what_is_no_token() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut padded = token.clone();
    padded.push_str("==");
    let table = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "%%%.%%%.%%%".to_owned(),
        "ä.ö.ü".to_owned(),
        input.to_owned(),
        format!("{token}.{signature}"),
        format!(".{token}"),
        format!("{input}.%%%"),
        format!("{input}.{signature}\n"),
        format!(" {token}"),
        padded,
        // Standard base64 where base64url belongs.
        format!("{input}.{}", "+/".repeat(43)),
    ];
    for text in table {
        assert_eq!(fleet.verify(&text), Err(TokenError::Malformed), "{text:?}");
    }
}

#[test]
fn length_is_bounded() {
    let fleet = Fleet::new();
    let header = header(fleet.user.kid()).to_string();
    // Claims that are padded until the token is as long as may be, then one step longer.
    let sized = |fill: usize| {
        let fill = "x".repeat(fill);
        forge(&fleet.user, &header, &claims_with(json!({"fill": fill})))
    };
    let mut fill = 1;
    while sized(fill + 1).len() <= MAX_TOKEN_BYTES {
        fill += 1 + (MAX_TOKEN_BYTES - sized(fill + 1).len()) / 2;
    }
    assert!(fleet.verify(&sized(fill)).is_ok());
    let refused = fleet.verify(&sized(fill + 4));
    assert_eq!(refused, Err(TokenError::TooLong));
    let huge = "a".repeat(1 << 20);
    assert_eq!(fleet.verify(&huge), Err(TokenError::TooLong));
}

/// Random bytes in place of a token, and random edits of a good one, never panic and never pass.
#[test]
fn noise_is_refused() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let random = rand::SystemRandom::new();
    for _ in 0..500 {
        let bytes: [u8; 48] = rand::generate(&random).unwrap().expose();
        let noise: String = bytes
            .iter()
            .map(|byte| char::from(byte % 95 + 32))
            .collect();
        assert!(fleet.verify(&noise).is_err());
        let at = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % token.len();
        let mut edited = token.clone().into_bytes();
        edited[at] = bytes[2] % 95 + 32;
        let edited = String::from_utf8(edited).unwrap();
        if edited != token {
            assert!(fleet.verify(&edited).is_err(), "{edited}");
        }
    }
}
