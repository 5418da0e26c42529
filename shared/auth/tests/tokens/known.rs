//! Tokens that were verified before: they are refused when any other token would be.

use zerocart_auth::{Issuer, Role, Signer, Token, TokenError, Verifier};

use super::{Duration, Fleet, NOW_S, USER, at, claims_with, forge, header, json, keys};

#[test]
fn a_known_token_is_valid_for_no_longer_than_another() {
    let fleet = Fleet::new();
    let claims = claims_with(json!({"nbf": NOW_S}));
    let token = Token::new(forge(
        &fleet.user,
        &header(fleet.user.kid()).to_string(),
        &claims,
    ));
    let verifier = || Verifier::new(&keys(&fleet.user), &keys(&fleet.service)).unwrap();
    let known = verifier();
    let mut refused = Vec::new();
    // `exp` is after 60 s, and clocks may differ by 5 s. Going back, the clock was set.
    for seconds in [0, 64, 65, 64, 0, 65] {
        let fresh = verifier().verify(&token, at(NOW_S + seconds));
        let result = known.verify(&token, at(NOW_S + seconds));
        assert_eq!(result, fresh, "after {seconds} s");
        refused.extend(result.err());
    }
    assert_eq!(refused, [TokenError::Expired; 2]);
    assert!(known.verify(&token, at(NOW_S - 5)).is_ok());
    let early = known.verify(&token, at(NOW_S - 6));
    assert_eq!(early, Err(TokenError::NotYetValid));
}

#[test]
fn a_changed_byte_of_a_known_token_is_seen() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let who = fleet.verify(&token).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(fleet.verify(&changed).is_err(), "byte {at}");
        assert_eq!(fleet.verify(&token).as_ref(), Ok(&who));
    }
}

#[test]
fn a_refused_token_is_refused_again() {
    let (fleet, other) = (Fleet::new(), Fleet::new());
    let token = other.user_token();
    for _ in 0..2 {
        assert_eq!(fleet.verify(&token), Err(TokenError::UnknownKey));
    }
}

/// A verifier keeps the keys that it was made with: a key that is retired is in none that is made
/// later, which knows no tokens either.
#[test]
fn what_one_verifier_knows_another_does_not() {
    let fleet = Fleet::new();
    let token = Token::new(fleet.user_token());
    assert!(fleet.verifier.verify(&token, at(NOW_S)).is_ok());
    let successor = Fleet::new();
    let refused = successor.verifier.verify(&token, at(NOW_S));
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[test]
fn many_users_are_told_apart() {
    let fleet = Fleet::new();
    let signer = Signer::new(Issuer::User, &fleet.user);
    let subject = |number: usize| format!("{}{number:012x}", &USER[..24]);
    let tokens: Vec<_> = (0..50)
        .map(|number| {
            let role = if number % 2 == 0 {
                Role::Customer
            } else {
                Role::Admin
            };
            let ttl = Duration::from_secs(60);
            let token = signer.issue(&subject(number), role, ttl, at(NOW_S));
            (token.unwrap(), role)
        })
        .collect();
    for _ in 0..2 {
        for (number, (token, role)) in tokens.iter().enumerate() {
            let who = fleet.verifier.verify(token, at(NOW_S)).unwrap();
            assert_eq!((who.subject, who.role), (subject(number), *role));
        }
    }
}
