use std::time::Duration;

use http::Request;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

const NOW_S: u64 = 1_800_000_000;

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(signed.as_bytes());
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature.as_ref());
        format!("{signed}.{signature}")
    }
}

fn plugin(config: Value) -> Jwt {
    Jwt::new(serde_json::from_value(config).unwrap()).unwrap()
}

fn zerocart() -> Jwt {
    plugin(json!({
        "key_claim_name": "kid", "claims_to_verify": ["exp"],
        "run_on_preflight": false, "uri_param_names": [],
    }))
}

fn credentials(key: &str, signer: &Signer) -> Credentials {
    let identity = Arc::new(Identity {
        consumer_id: "c0ffee".to_owned(),
        username: "zerocart-users".to_owned(),
        custom_id: None,
        key: key.to_owned(),
    });
    let credential = Credential {
        identity,
        public_key: signer.public_key(),
    };
    Credentials::new(HashMap::from([(key.to_owned(), credential)]))
}

fn request(authorization: &str) -> http::request::Parts {
    Request::get("/users/1")
        .header("authorization", authorization)
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn answer(plugin: &Jwt, known: &Credentials, request: &http::request::Parts) -> String {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S);
    match plugin.authenticate(request, known, now) {
        Ok(Some(identity)) => format!("{} {}", identity.username, identity.key),
        Ok(None) => "skipped".to_owned(),
        Err(reply) => {
            assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
            let challenge = reply.headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .to_owned();
            format!("{} | {challenge}", reply.body().unwrap())
        }
    }
}

#[test]
fn tokens_are_judged_as_kong_does() {
    let (signer, other) = (Signer::new(), Signer::new());
    let known = credentials("key-1", &signer);
    let plugin = zerocart();
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "key-1"});
    let good = json!({"sub": "u", "exp": NOW_S + 60});
    let bad = |text: &str| format!("{{\"message\":\"{text}\"}} | Bearer error=\"invalid_token\"");
    let valid = signer.token(&header, &good);
    let cases = [
        ("valid", valid.clone(), "zerocart-users key-1".to_owned()),
        (
            "the key may be named in a claim",
            signer.token(
                &json!({"alg": "EdDSA"}),
                &json!({"kid": "key-1", "exp": NOW_S + 60}),
            ),
            "zerocart-users key-1".to_owned(),
        ),
        (
            "expired",
            signer.token(&header, &json!({"exp": NOW_S})),
            "{\"exp\":\"token expired\"} | Bearer error=\"invalid_token\"".to_owned(),
        ),
        (
            "no exp",
            signer.token(&header, &json!({"sub": "u"})),
            "{\"exp\":\"must be a number\"} | Bearer error=\"invalid_token\"".to_owned(),
        ),
        (
            "wrong key",
            other.token(&header, &good),
            bad("Invalid signature"),
        ),
        (
            "signature left out",
            valid.rsplit_once('.').unwrap().0.to_owned() + ".",
            bad("Invalid signature"),
        ),
        (
            "alg none",
            signer.token(&json!({"alg": "none", "kid": "key-1"}), &good),
            bad("Bad token; invalid alg"),
        ),
        (
            "alg that the key is not for",
            signer.token(&json!({"alg": "HS256", "kid": "key-1"}), &good),
            bad("Invalid algorithm"),
        ),
        (
            "unknown kid",
            signer.token(&json!({"alg": "EdDSA", "kid": "key-2"}), &good),
            bad("No credentials found for given 'kid'"),
        ),
        (
            "empty kid",
            signer.token(&json!({"alg": "EdDSA", "kid": ""}), &good),
            bad("Invalid 'kid' in claims"),
        ),
        (
            "no kid",
            signer.token(&json!({"alg": "EdDSA"}), &good),
            bad("No mandatory 'kid' in claims"),
        ),
        (
            "no JSON",
            "a.b.c".to_owned(),
            bad("Bad token; invalid JSON"),
        ),
        ("one part", "abc".to_owned(), bad("Bad token; invalid JSON")),
        (
            "claims that are no object",
            signer.token(&header, &json!([1])),
            bad("Bad token; invalid JSON"),
        ),
    ];
    for (what, token, expected) in cases {
        assert_eq!(
            answer(&plugin, &known, &request(&format!("Bearer {token}"))),
            expected,
            "{what}"
        );
    }
}

#[test]
fn a_changed_claim_breaks_the_signature() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let header = json!({"alg": "EdDSA", "kid": "key-1"});
    let token = signer.token(&header, &json!({"role": "customer", "exp": NOW_S + 60}));
    let forged = signer.token(&header, &json!({"role": "admin", "exp": NOW_S + 60}));
    let parts: Vec<&str> = token.split('.').collect();
    let mixed = format!(
        "{}.{}.{}",
        parts[0],
        forged.split('.').nth(1).unwrap(),
        parts[2]
    );
    let got = answer(&zerocart(), &known, &request(&format!("Bearer {mixed}")));
    assert!(got.contains("Invalid signature"), "{got}");
}

#[test]
fn a_missing_token_is_challenged() {
    let known = Credentials::default();
    let missing = "{\"message\":\"Unauthorized\"} | Bearer".to_owned();
    // Kong knows two spellings of the scheme.
    for authorization in [
        "",
        "Basic abc",
        "Bearer",
        "Bearer ",
        "earer abc",
        "BEARER abc",
    ] {
        assert_eq!(
            answer(&zerocart(), &known, &request(authorization)),
            missing,
            "{authorization}"
        );
    }
}

#[test]
fn tokens_come_from_where_the_configuration_says() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let header = json!({"alg": "EdDSA", "kid": "key-1"});
    let token = signer.token(&header, &json!({"exp": NOW_S + 60}));
    let build = |uri: String, cookie: String, authorization: String| {
        Request::get(uri)
            .header(COOKIE, cookie)
            .header("authorization", authorization)
            .body(())
            .unwrap()
            .into_parts()
            .0
    };
    let all = plugin(json!({"key_claim_name": "kid", "cookie_names": ["session"]}));
    let none = String::new;
    let accepted = [
        build(format!("/?jwt={token}"), none(), none()),
        build("/".to_owned(), format!("a=b; session={token}"), none()),
        build(format!("/?jwt={token}"), none(), format!("bearer {token}")),
    ];
    for request in accepted {
        assert_eq!(answer(&all, &known, &request), "zerocart-users key-1");
    }
    let twice = build("/?jwt=other".to_owned(), none(), format!("Bearer {token}"));
    assert!(answer(&all, &known, &twice).contains("Multiple tokens provided"));
    let in_query = build(format!("/?jwt={token}"), none(), none());
    assert!(answer(&zerocart(), &known, &in_query).contains("Unauthorized"));
}

#[test]
fn a_preflight_needs_no_token() {
    let mut preflight = request("");
    preflight.method = http::Method::OPTIONS;
    assert_eq!(
        answer(&zerocart(), &Credentials::default(), &preflight),
        "skipped"
    );
    let strict = plugin(json!({}));
    assert!(answer(&strict, &Credentials::default(), &preflight).contains("Unauthorized"));
}

#[test]
fn only_the_gateway_names_the_consumer() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-consumer-username",
        "x-consumer-id",
        "x-anonymous-consumer",
    ] {
        headers.insert(name, HeaderValue::from_static("spoofed"));
    }
    identify(None, &mut headers);
    assert!(headers.is_empty(), "{headers:?}");

    headers.insert("x-consumer-custom-id", HeaderValue::from_static("spoofed"));
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    identify(Some(&known.by_key["key-1"].identity), &mut headers);
    assert_eq!(headers["x-consumer-username"], "zerocart-users");
    assert_eq!(headers["x-credential-identifier"], "key-1");
    assert!(!headers.contains_key("x-consumer-custom-id"));
}

#[test]
fn lifetimes_can_be_bounded() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let plugin = plugin(json!({
        "key_claim_name": "kid", "claims_to_verify": ["exp", "nbf"], "maximum_expiration": 60,
    }));
    let header = json!({"alg": "EdDSA", "kid": "key-1"});
    let judged = |claims: Value| {
        answer(
            &plugin,
            &known,
            &request(&format!("Bearer {}", signer.token(&header, &claims))),
        )
    };
    assert!(judged(json!({"exp": NOW_S + 60, "nbf": NOW_S})).starts_with("zerocart-users"));
    assert!(judged(json!({"exp": NOW_S + 61, "nbf": 0})).contains("exceeds maximum"));
    assert!(judged(json!({"exp": NOW_S + 60, "nbf": NOW_S + 1})).contains("not valid yet"));
}

#[test]
fn only_ed25519_pem_is_read() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
               MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
               -----END PUBLIC KEY-----\n";
    let key = ed25519_from_pem(pem).unwrap();
    assert_eq!(key[..4], [0x19, 0xbf, 0x44, 0x09]);
    assert!(ed25519_from_pem("MCowBQYDK2VwAyEA").is_none());
    assert!(ed25519_from_pem(&pem.replace("MCow", "MCox")).is_none());
}

/// The `iat` makes the token another one, so that nothing is known of it yet.
fn token_of(signer: &Signer, key: &str, iat: u64) -> String {
    let header = json!({"alg": "EdDSA", "kid": key});
    signer.token(&header, &json!({"iat": iat, "exp": NOW_S + 60}))
}

fn answer_at(seconds: u64, token: &str, known: &Credentials) -> String {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let request = request(&format!("Bearer {token}"));
    match zerocart().authenticate(&request, known, now) {
        Ok(identity) => identity.unwrap().username.clone(),
        Err(reply) => reply.body().unwrap().to_string(),
    }
}

#[test]
fn a_known_token_expires_as_one_that_is_not_known() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let token = token_of(&signer, "key-1", 1);
    for seconds in [NOW_S, NOW_S + 59, NOW_S + 60, NOW_S + 59] {
        let fresh = credentials("key-1", &signer);
        let expected = answer_at(seconds, &token, &fresh);
        assert_eq!(answer_at(seconds, &token, &known), expected, "{seconds}");
        assert_eq!(known.known.len(), 1);
    }
    assert!(answer_at(NOW_S + 60, &token, &known).contains("token expired"));
}

#[test]
fn only_an_accepted_token_is_known_and_no_other_text_is_taken_for_it() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let token = token_of(&signer, "key-1", 1);
    assert_eq!(answer_at(NOW_S, &token, &known), "zerocart-users");
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let fresh = credentials("key-1", &signer);
        let expected = answer_at(NOW_S, &changed, &fresh);
        assert_eq!(answer_at(NOW_S, &changed, &known), expected, "byte {at}");
    }
    let expired = answer_at(NOW_S + 60, &token_of(&signer, "key-1", 2), &known);
    assert!(expired.contains("token expired"), "{expired}");
    assert_eq!(known.known.len(), 1);
}

#[test]
fn a_token_is_known_for_the_plugin_that_found_its_key_and_times() {
    let signer = Signer::new();
    let known = credentials("key-1", &signer);
    let token = token_of(&signer, "key-1", 1);
    let request = request(&format!("Bearer {token}"));
    assert_eq!(
        answer(&zerocart(), &known, &request),
        "zerocart-users key-1"
    );
    let by_iss = plugin(json!({}));
    assert!(answer(&by_iss, &known, &request).contains("No mandatory 'iss'"));
    let short = json!({
        "key_claim_name": "kid", "claims_to_verify": ["exp", "nbf"], "maximum_expiration": 10,
    });
    assert!(answer(&plugin(short), &known, &request).contains("must be a number"));
}
