//! Tokens for RDS, beside those that AWS's own Python library (botocore) makes of the same.

use std::time::{Duration, SystemTime};

use zerocart_lambda::rds::IamToken;
use zerocart_postgres::Password;

use crate::signer;

/// 2026-11-25T12:00:00Z.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_608_000)
}

/// What both tokens have before their signature, in the order in which botocore writes it.
const COMMON: [&str; 7] = [
    "Action=connect",
    "DBUser=zerocart_user",
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=AKIDEXAMPLE%2F20261125%2Feu-central-1%2Frds-db%2Faws4_request",
    "X-Amz-Date=20261125T120000Z",
    "X-Amz-Expires=900",
    "X-Amz-SignedHeaders=host",
];

#[tokio::test]
async fn tokens_are_those_of_botocore() {
    let url = "postgres://zerocart_user@db.example.eu-central-1.rds.amazonaws.com/user";
    let config = url.parse().unwrap();
    for (session, more) in [
        (
            None,
            &["X-Amz-Signature=86c6446fe37d8580a4ab69b6af829b294588bbb4d5f5b8182bc558864b6d4fc7"][..],
        ),
        (
            Some("SESSION/token+1="),
            &[
                "X-Amz-Security-Token=SESSION%2Ftoken%2B1%3D",
                "X-Amz-Signature=6bb141bf9fef1ffe3086045a19be13be913f97fb93f7d00996887c03c340f6a0",
            ],
        ),
    ] {
        let source = IamToken::at(signer(session), noon);
        let token = source.get(&config).await.unwrap();
        let (address, query) = token.split_once("/?").unwrap();
        assert_eq!(address, "db.example.eu-central-1.rds.amazonaws.com:5432");
        let mut fields: Vec<_> = query.split('&').collect();
        let mut wanted: Vec<_> = COMMON.iter().chain(more).copied().collect();
        fields.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(fields, wanted);
        assert!(!format!("{source:?}").contains("EXAMPLEKEY"));
    }
}

#[tokio::test]
async fn without_a_host_there_is_no_token() {
    let config = "postgres://zerocart_user@%2Frun%2Fpostgresql/user";
    let source = IamToken::at(signer(None), noon);
    let error = source.get(&config.parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("no host"), "{error}");
}
