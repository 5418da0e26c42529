//! `zerocart provision` against a real server.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::databases::{DOMAINS, failed, role_passwords, said, server, zerocart};

#[tokio::test]
async fn everything_is_made_once_and_no_password_is_shown() {
    let (_server, url) = server(40).await;
    let passwords = role_passwords();
    let variables = [
        ("ADMIN_DATABASE_URL", &*url),
        ("ROLE_PASSWORDS", &passwords),
        ("FIRST_ADMIN_PASSWORD", "correct horse"),
    ];
    let run = || zerocart(&variables).arg("provision").output().unwrap();
    let (first, _) = said(&run());
    for line in [
        "connected to postgres@127.0.0.1",
        "warning: the server has 37 connections for functions",
        "role zerocart_cart_owner: made",
        "role zerocart_user: made",
        "database zerocart_order: made",
        "tables of zerocart_payment: 5 migrations applied",
        "first admin admin@zerocart.example: made, with the password of FIRST_ADMIN_PASSWORD",
    ] {
        assert!(first.contains(line), "{line}:\n{first}");
    }
    let (second, _) = said(&run());
    let changed: Vec<_> = second
        .lines()
        .filter(|line| !line.ends_with(": unchanged"))
        .collect();
    let [connected, warning] = &changed[..] else {
        panic!("{second}")
    };
    assert!(connected.starts_with("connected to"), "{connected}");
    assert!(warning.starts_with("warning: the server has"), "{warning}");
    let shown = format!("{first}{second}");
    assert!(!shown.contains("correct horse"), "{shown}");
    let passwords: serde_json::Map<String, Value> = serde_json::from_str(&passwords).unwrap();
    for (role, password) in &passwords {
        assert!(!shown.contains(password.as_str().unwrap()), "{role}");
    }
}

#[tokio::test]
async fn a_file_of_passwords_is_made_and_completed_and_urls_are_printed_on_request() {
    let (_server, url) = server(250).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roles.json");
    let run = || {
        let mut command = zerocart(&[("ADMIN_DATABASE_URL", &url)]);
        command.args(["provision", "--print-urls", "--passwords"]);
        command.arg(&file).output().unwrap()
    };
    let (urls, steps) = said(&run());
    assert!(steps.contains("roles.json: 12 made"), "{steps}");
    assert!(steps.contains("password  "), "the first admin's: {steps}");
    assert!(!steps.contains("warning"), "{steps}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let passwords: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let lines: Vec<_> = urls.lines().collect();
    assert_eq!(lines.len(), DOMAINS.len(), "{urls}");
    for (line, domain) in lines.iter().zip(DOMAINS) {
        let password = passwords[format!("zerocart_{domain}")].as_str().unwrap();
        let begin = format!(
            "DATABASE_URL_{}=postgres://zerocart_{domain}:{password}@127.0.0.1:",
            domain.to_uppercase()
        );
        assert!(line.starts_with(&begin), "{line}");
    }

    // A role that is missing is added; the server and the others stay.
    let mut fewer = passwords.clone();
    fewer.as_object_mut().unwrap().remove("zerocart_cart");
    fs::write(&file, fewer.to_string()).unwrap();
    let (_, steps) = said(&run());
    assert!(steps.contains("roles.json: 1 made"), "{steps}");
    assert!(
        steps.contains("role zerocart_cart: password set"),
        "{steps}"
    );
    assert_eq!(steps.matches(": password set").count(), 1, "{steps}");
    assert!(!steps.contains("password  "), "{steps}");
}

#[tokio::test]
async fn two_at_once_both_succeed() {
    let (_server, url) = server(250).await;
    let passwords = role_passwords();
    let variables = [
        ("ADMIN_DATABASE_URL", &*url),
        ("ROLE_PASSWORDS", &passwords),
    ];
    let start = || {
        let mut command = zerocart(&variables);
        command.arg("provision");
        command.stdout(std::process::Stdio::piped());
        command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let runs = [start(), start()];
    let said = runs.map(|run| said(&run.wait_with_output().unwrap()).0);
    let made = said.iter().filter(|text| text.contains("password  "));
    assert_eq!(made.count(), 1, "{said:#?}");
}

#[test]
fn bad_settings_are_named_together_with_the_cure() {
    let url = "postgres://admin:s3cret@127.0.0.1:1/postgres";
    let mut some: Value = serde_json::from_str(&role_passwords()).unwrap();
    some.as_object_mut().unwrap().remove("zerocart_order");
    let some = some.to_string();
    for (variables, status, words) in [
        (
            &[][..],
            64,
            &[
                "ADMIN_DATABASE_URL is not set",
                "ROLE_PASSWORDS is not set",
                "--passwords FILE",
            ][..],
        ),
        (
            &[
                (
                    "ADMIN_DATABASE_URL",
                    "postgres://admin:s3cret@h/d?sslmode=prefer",
                ),
                ("ROLE_PASSWORDS", "{\"zerocart_shop\": \"s3cret\"}"),
                ("FIRST_ADMIN_PASSWORD", "s3cret"),
            ],
            64,
            &[
                "ADMIN_DATABASE_URL: sslmode must be disable or verify-full",
                "ROLE_PASSWORDS: zerocart_shop is no role of zerocart",
                "FIRST_ADMIN_PASSWORD: password must have at least 8",
            ],
        ),
        (
            &[("ADMIN_DATABASE_URL", url), ("ROLE_PASSWORDS", &*some)],
            64,
            &["ROLE_PASSWORDS: the password of zerocart_order is missing"],
        ),
        (
            &[
                ("ADMIN_DATABASE_URL", url),
                ("ROLE_PASSWORDS", &*role_passwords()),
            ],
            1,
            &[
                "cannot connect to admin@127.0.0.1:1/postgres: nobody listens there",
                "Check host",
            ],
        ),
    ] {
        let output = zerocart(variables).arg("provision").output().unwrap();
        let (code, said) = failed(&output);
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(code, Some(status), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
