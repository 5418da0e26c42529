//! Who provisions, and what becomes of it.

use zerocart_local_postgres::Server;
use zerocart_provision::{
    Address, Administrator, Error, Migrations, Outcome, Password, Passwords, Step, migrate,
};

use crate::support::{ask, code, passwords, run, server};

const DOMAINS: [&str; 2] = ["user", "order"];

async fn provision(admin: &Address, passwords: &Passwords) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let mut session = Administrator::connect(admin).await?;
    let report = |step| steps.push(step);
    session.provision(&DOMAINS, passwords, report).await?;
    session.close().await?;
    Ok(steps)
}

/// What a managed server gives: a role that may make roles and databases, and is no superuser.
async fn managed(superuser: &Address, rights: &str) -> Address {
    let password = Password::new("it's \"managed\" & kept");
    let verifier = password.verifier();
    let make = format!("CREATE ROLE chief LOGIN {rights} PASSWORD '{verifier}'");
    run(superuser, &make).await.unwrap();
    superuser.login("chief", &password)
}

/// All rights that matter, as text that can be compared.
async fn rights(superuser: &Address) -> String {
    let acl = "SELECT string_agg(concat_ws(' ', datname, datdba::regrole, datacl), E'\\n' ORDER BY datname)
               FROM pg_database WHERE datname LIKE 'zerocart%'";
    let roles =
        "SELECT string_agg(concat_ws(' ', rolname, rolsuper, rolcanlogin, a.rolpassword, rolconfig),
                                   E'\\n' ORDER BY rolname)
                 FROM pg_authid a JOIN pg_roles USING (rolname, rolsuper, rolcanlogin)
                 WHERE rolname LIKE 'zerocart%'";
    let (acl, roles) = (
        ask(superuser, acl).await.unwrap(),
        ask(superuser, roles).await.unwrap(),
    );
    format!("{acl}\n{roles}")
}

/// Nothing was done. In PostgreSQL 14, a warning about the schema stays.
fn unchanged(steps: &[Step]) -> bool {
    let mut steps = steps.iter();
    steps.all(|step| !matches!(step.outcome, Outcome::Done(_)))
}

async fn is_closed(server: &Server, admin: &Address, passwords: &Passwords) {
    let login = |role: &str| admin.login(role, &passwords[role]);
    let owner = login("zerocart_user_owner").database("zerocart_user");
    let files = migrate(&owner, &Migrations::embedded("user").unwrap())
        .await
        .unwrap();
    assert!(files[0].starts_with("migrations/user/0001_"), "{files:?}");
    let again = migrate(&owner, &Migrations::embedded("user").unwrap()).await;
    assert_eq!(again.unwrap(), [""; 0]);

    let user = login("zerocart_user").database("zerocart_user");
    let count = ask(&user, "SELECT count(*)::text FROM users").await;
    assert_eq!(count.unwrap(), "0");
    for statement in [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
    ] {
        // In PostgreSQL 14 only a superuser can close the schema.
        if server.installation().major() > 14 {
            assert_eq!(code(run(&user, statement).await), "42501", "{statement}");
        }
    }
    for (role, database) in [
        ("zerocart_user", "zerocart_order"),
        ("zerocart_user_owner", "zerocart_order"),
        ("zerocart_order", "zerocart_user"),
        ("zerocart_order_owner", "zerocart_user"),
    ] {
        let refused = run(&login(role).database(database), "SELECT 1").await;
        assert_eq!(code(refused), "42501", "{role} into {database}");
    }
}

#[tokio::test]
async fn a_superuser_provisions_once() {
    let (server, admin) = server().await;
    let roles = passwords(&DOMAINS);
    let first = provision(&admin, &roles).await.unwrap();
    assert!(
        first.iter().all(|step| step.outcome != Outcome::Unchanged),
        "{first:#?}"
    );
    let made = rights(&admin).await;
    let second = provision(&admin, &roles).await.unwrap();
    assert!(unchanged(&second), "{second:#?}");
    assert_eq!(rights(&admin).await, made);
    is_closed(&server, &admin, &roles).await;

    // What somebody changed is mended: a password, a right too many, a door left open.
    let mut other = roles.clone();
    other.insert("zerocart_user".to_owned(), Password::random());
    run(
        &admin,
        "ALTER ROLE zerocart_order CREATEDB; GRANT CONNECT ON DATABASE zerocart_order TO PUBLIC",
    )
    .await
    .unwrap();
    let mended = provision(&admin, &other).await.unwrap();
    let mended: Vec<_> = mended
        .iter()
        .filter(|step| step.outcome != Outcome::Unchanged)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        mended,
        [
            "role zerocart_user: password set",
            "role zerocart_order: CREATEDB taken away",
            "database zerocart_order: rights set"
        ]
    );
    assert!(unchanged(&provision(&admin, &other).await.unwrap()));
}

#[tokio::test]
async fn one_who_is_no_superuser_provisions_once() {
    let (server, superuser) = server().await;
    let admin = managed(&superuser, "CREATEROLE CREATEDB").await;
    let roles = passwords(&DOMAINS);
    let first = provision(&admin, &roles).await.unwrap();
    let closing = first[0].to_string();
    assert!(
        closing.contains("warning: all roles may connect to postgres and template1"),
        "{closing}"
    );
    assert!(
        closing.contains("REVOKE ALL ON DATABASE \"postgres\" FROM PUBLIC"),
        "{closing}"
    );
    let made = rights(&superuser).await;
    let second = provision(&admin, &roles).await.unwrap();
    assert!(unchanged(&second[1..]), "{second:#?}");
    assert_eq!(rights(&superuser).await, made);
    is_closed(&server, &admin, &roles).await;

    let mut other = roles.clone();
    other.insert("zerocart_order_owner".to_owned(), Password::random());
    let mended = provision(&admin, &other).await.unwrap();
    let mended = mended.iter().map(ToString::to_string);
    assert!(
        mended
            .into_iter()
            .any(|step| step == "role zerocart_order_owner: password set")
    );
}

/// What a role of functions has of a version before: a verifier with 4096 rounds, and no limits.
const OLD: &str = "ALTER ROLE zerocart_user RESET ALL; ALTER ROLE zerocart_user PASSWORD";

/// How a role logs in and what limits it has.
async fn login(superuser: &Address, role: &str) -> String {
    let login = format!(
        "SELECT concat_ws(' ', left(a.rolpassword, 16), array_to_string(rolconfig, ' '))
         FROM pg_authid a JOIN pg_roles r USING (rolname) WHERE rolname = '{role}'"
    );
    ask(superuser, &login).await.unwrap()
}

#[tokio::test]
async fn roles_of_before_get_limits_and_verifiers_of_today() {
    let (_server, superuser) = server().await;
    let managed = managed(&superuser, "CREATEROLE CREATEDB").await;
    let today = "SCRAM-SHA-256$1: statement_timeout=5s idle_in_transaction_session_timeout=5s";
    for (admin, renews_owner) in [(&managed, false), (&superuser, true)] {
        let roles = passwords(&DOMAINS);
        provision(admin, &roles).await.unwrap();
        let (role, owner) = ("zerocart_user", "zerocart_user_owner");
        assert_eq!(login(&superuser, role).await, today);
        assert_eq!(login(&superuser, owner).await, "SCRAM-SHA-256$1:");

        // PostgreSQL makes the verifier here, as an earlier version did.
        let (of_role, of_owner) = (roles[role].expose(), roles[owner].expose());
        run(
            &superuser,
            &format!("{OLD} '{of_role}'; ALTER ROLE {owner} PASSWORD '{of_owner}'"),
        )
        .await
        .unwrap();
        assert_eq!(login(&superuser, role).await, "SCRAM-SHA-256$40");
        provision(admin, &roles).await.unwrap();
        assert_eq!(login(&superuser, role).await, today);
        let owner = login(&superuser, owner).await;
        assert_eq!(owner == "SCRAM-SHA-256$1:", renews_owner, "{owner}");
        let again = provision(admin, &roles).await.unwrap();
        assert!(unchanged(&again[1..]), "{again:#?}");

        // The value that somebody chose stays.
        let own = "ALTER ROLE zerocart_order SET statement_timeout = '9s'";
        run(&superuser, own).await.unwrap();
        assert!(unchanged(&provision(admin, &roles).await.unwrap()[1..]));
        let order = login(&superuser, "zerocart_order").await;
        assert!(order.contains("statement_timeout=9s"), "{order}");
    }

    // A password that a person may have chosen keeps the rounds of RFC 7677.
    let mut chosen = passwords(&DOMAINS);
    chosen.insert(
        "zerocart_user".into(),
        Password::new("correct horse battery staple"),
    );
    provision(&superuser, &chosen).await.unwrap();
    let user = login(&superuser, "zerocart_user").await;
    assert!(user.starts_with("SCRAM-SHA-256$40"), "{user}");
}

#[tokio::test]
async fn two_at_once_make_everything_once() {
    let (_server, superuser) = server().await;
    let admin = managed(&superuser, "CREATEROLE CREATEDB").await;
    let roles = passwords(&DOMAINS);
    let (one, two) = tokio::join!(provision(&admin, &roles), provision(&admin, &roles));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(
        unchanged(&one[1..]) != unchanged(&two[1..]),
        "{one:#?}{two:#?}"
    );
}

#[tokio::test]
async fn what_the_server_refuses_is_said_with_the_cure() {
    let (server, superuser) = server().await;
    let roles = passwords(&DOMAINS);
    let says = async |address: &Address, words: &[&str]| {
        let error = provision(address, &roles).await.unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    };
    let stranger = superuser.login("postgres", &Password::new("wrong"));
    says(
        &stranger,
        &["postgres@127.0.0.1", "refuses the password", "in the URL"],
    )
    .await;
    says(&superuser.database("nothing"), &["no such database"]).await;
    let closed = Address::new("postgres://u:p@127.0.0.1:1/d", None).unwrap();
    says(&closed, &["nobody listens there", "Check host and port"]).await;
    let port = server.port();
    let tls = format!("postgres://u:p@127.0.0.1:{port}/d?sslmode=require");
    says(
        &Address::new(&tls, None).unwrap(),
        &["TLS failed", "DATABASE_ROOT_CERTIFICATE"],
    )
    .await;

    let weak = managed(&superuser, "CREATEDB").await;
    says(
        &weak,
        &[
            "chief may not make or change the role",
            "ALTER ROLE chief CREATEROLE",
        ],
    )
    .await;
    run(&superuser, "ALTER ROLE chief CREATEROLE NOCREATEDB")
        .await
        .unwrap();
    says(&weak, &["chief may not make the database zerocart_user"]).await;

    let mut some = roles.clone();
    some.remove("zerocart_order");
    let error = provision(&superuser, &some).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoPassword(role) if role == "zerocart_order"),
        "{error}"
    );
}
