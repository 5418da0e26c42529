//! Which keys are trusted: rotation, and the line between the issuers.

use std::time::Duration;

use zerocart_auth::{
    Issuer, KeyErrorKind, KeyPair, KeySet, Keys, Role, Signer, Token, TokenError, Verifier,
};

use super::{Fleet, NOW_S, USER, at, keys};

#[test]
fn rotation_keeps_tokens_valid_until_their_key_is_retired() {
    let mut set = KeySet::generate().unwrap();
    let verify = |set: &KeySet, token: &Token| {
        let verifier = Verifier::new(&set.keys(), &Keys::default()).unwrap();
        verifier.verify(token, at(NOW_S)).map(|who| who.subject)
    };
    let sign = |set: &KeySet| {
        let signer = Signer::new(Issuer::User, set.current());
        let ttl = Duration::from_secs(60);
        signer.issue(USER, Role::Customer, ttl, at(NOW_S)).unwrap()
    };
    let before = sign(&set);
    set.rotate(at(NOW_S)).unwrap();
    let after = sign(&set);
    assert_eq!(verify(&set, &before), Ok(USER.to_owned()));
    assert_eq!(verify(&set, &after), Ok(USER.to_owned()));
    assert_eq!(set.retire(at(NOW_S)).len(), 1);
    assert_eq!(verify(&set, &before), Err(TokenError::UnknownKey));
    assert_eq!(verify(&set, &after), Ok(USER.to_owned()));
}

#[test]
fn one_key_is_for_one_issuer() {
    let pair = KeyPair::generate().unwrap();
    let same = keys(&pair);
    let renamed = pair.public().to_jwk().replace(pair.kid(), "renamed");
    let renamed: Keys = format!(r#"{{"keys":[{renamed}]}}"#).parse().unwrap();
    let other_jwk = KeyPair::generate().unwrap();
    let namesake = other_jwk
        .public()
        .to_jwk()
        .replace(other_jwk.kid(), pair.kid());
    let namesake: Keys = format!(r#"{{"keys":[{namesake}]}}"#).parse().unwrap();
    for service in [&same, &renamed, &namesake] {
        let error = Verifier::new(&same, service).unwrap_err();
        assert!(matches!(error.kind, KeyErrorKind::SharedKey(_)), "{error}");
    }
}

#[test]
fn who_trusts_nobody_refuses_all() {
    let fleet = Fleet::new();
    let nobody = Verifier::new(&Keys::default(), &Keys::default()).unwrap();
    let refused = nobody.verify(&Token::new(fleet.user_token()), at(NOW_S));
    assert_eq!(refused, Err(TokenError::UnknownKey));
}
