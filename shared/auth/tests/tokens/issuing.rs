//! What a signer makes, and that a verifier takes it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zerocart_auth::{Identity, IssueError, Issuer, KeyPair, Role, Signer, Token, TokenError};

use super::{Fleet, NOW_S, USER, at, claims, header};

#[test]
fn each_issuer_signs_for_its_roles() {
    let fleet = Fleet::new();
    let user = Signer::new(Issuer::User, &fleet.user);
    let service = Signer::new(Issuer::Service, &fleet.service);
    let table = [
        (&user, Issuer::User, USER, Role::Customer),
        (&user, Issuer::User, USER, Role::Admin),
        (&service, Issuer::Service, "create-order", Role::Service),
    ];
    for (signer, issuer, subject, role) in table {
        let ttl = Duration::from_secs(60);
        let token = signer.issue(subject, role, ttl, at(NOW_S)).unwrap();
        let expected = Identity {
            subject: subject.to_owned(),
            role,
            issuer,
            generation: 0,
        };
        assert_eq!(fleet.verify(token.as_str()), Ok(expected.clone()));
        // Also when it is remembered.
        let later = signer.issue_in(3, subject, role, ttl, at(NOW_S)).unwrap();
        let expected = Identity {
            generation: 3,
            ..expected
        };
        for _ in 0..2 {
            assert_eq!(fleet.verify(later.as_str()), Ok(expected.clone()));
        }
    }
}

#[test]
fn a_token_says_what_the_contract_says() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts, [header(fleet.user.kid()), claims()]);
    assert!(token.len() < 400, "{}", token.len());
}

#[test]
fn what_no_verifier_would_accept_is_not_signed() {
    let pair = KeyPair::generate().unwrap();
    let minute = Duration::from_secs(60);
    let role = |issuer, role| Err(IssueError::Role { issuer, role });
    let (user, service) = (Issuer::User, Issuer::Service);
    let table = [
        (user, USER, Role::Service, minute, role(user, Role::Service)),
        (
            service,
            "create-order",
            Role::Admin,
            minute,
            role(service, Role::Admin),
        ),
        (
            service,
            USER,
            Role::Customer,
            minute,
            role(service, Role::Customer),
        ),
        (
            user,
            "",
            Role::Customer,
            minute,
            Err(IssueError::Subject(user)),
        ),
        (
            user,
            "ann",
            Role::Admin,
            minute,
            Err(IssueError::Subject(user)),
        ),
        (
            service,
            "",
            Role::Service,
            minute,
            Err(IssueError::Subject(service)),
        ),
        (
            user,
            USER,
            Role::Admin,
            Duration::from_millis(999),
            Err(IssueError::Lifetime),
        ),
        (
            user,
            USER,
            Role::Admin,
            Duration::MAX,
            Err(IssueError::Lifetime),
        ),
    ];
    for (issuer, subject, role, ttl, expected) in table {
        let issued = Signer::new(issuer, &pair).issue(subject, role, ttl, at(NOW_S));
        assert_eq!(issued.map(|_| ()), expected, "{issuer} {subject:?} {role}");
    }
}

#[test]
fn requests_are_authenticated_by_their_header() {
    let fleet = Fleet::new();
    let good = Token::new(fleet.user_token()).to_authorization();
    let bad = format!("{good}A");
    let authenticate = |values: &[&str]| {
        let values = values.iter().map(|value| value.as_bytes());
        let who = fleet.verifier.authenticate(values, at(NOW_S))?;
        Ok(who.map(|identity| identity.subject))
    };
    assert_eq!(authenticate(&[]), Ok(None));
    assert_eq!(authenticate(&[&good]), Ok(Some(USER.to_owned())));
    assert!(authenticate(&[&bad]).is_err());
    assert_eq!(authenticate(&[&good, &good]), Err(TokenError::Repeated));
    assert_eq!(authenticate(&["Basic dTpw"]), Err(TokenError::Scheme));
}

#[test]
fn nothing_secret_is_printed() {
    let fleet = Fleet::new();
    let token = fleet.user_token();
    let private = fleet.user.to_private_jwk();
    let jwk: Value = serde_json::from_str(&private).unwrap();
    let seed = jwk["d"].as_str().unwrap();
    let signer = Signer::new(Issuer::User, &fleet.user);
    for text in [
        format!("{:?}", Token::new(token.as_str())),
        format!("{signer:?}"),
        format!("{:?}", fleet.user),
        format!("{:?}", fleet.verifier),
    ] {
        assert!(!text.contains(seed), "{text}");
        assert!(token.split('.').all(|part| !text.contains(part)), "{text}");
    }
}
