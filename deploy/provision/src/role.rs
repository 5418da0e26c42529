//! One role.

use sqlx::Connection;

use crate::administrator::{Administrator, execute};
use crate::error::code;
use crate::names::quoted;
use crate::{Address, Error, Outcome, Password};

/// The limits of every session of a functions' role. Functions ask for the same ones when they connect, but a
/// pooler in front of the server may leave that out.
const LIMITS: [(&str, &str); 2] = [
    ("statement_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "5s"),
];

/// A role's row: may it log in, and what else may it do that it must not.
type Row = (bool, Vec<String>);

/// What is known of a role's password on the server.
enum Kept {
    /// It is this one, with a verifier as it would be made now.
    Same,
    /// It is this one, with a verifier of more or fewer rounds.
    OtherRounds,
    /// It is this one. Nobody but a superuser sees the verifier.
    SameUnseen,
    /// It is another one.
    Other,
}

/// Makes a role that may log in with this password and nothing else, or makes it so. `limited` is whether
/// [`limit_role`] follows.
pub(crate) async fn open_role(
    admin: &mut Administrator,
    role: &str,
    limited: bool,
    database: &str,
    password: &Password,
) -> Result<Outcome, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT rolcanlogin,
                array_remove(ARRAY[
                    CASE WHEN rolsuper THEN 'SUPERUSER' END,
                    CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                    CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
                    CASE WHEN rolreplication THEN 'REPLICATION' END,
                    CASE WHEN rolbypassrls THEN 'BYPASSRLS' END
                ], NULL)
         FROM pg_roles WHERE rolname = $1",
    )
    .bind(role)
    .fetch_optional(&mut admin.connection)
    .await
    .map_err(Error::sql(format!("look for the role {role}")))?;

    let mut changes = Vec::new();
    let mut done = Vec::new();
    if let Some((may_log_in, too_much)) = &row {
        // Only a superuser may name SUPERUSER at all: so only what differs is named.
        if !may_log_in {
            changes.push("LOGIN".to_owned());
            done.push("may log in now".to_owned());
        }
        for right in too_much {
            changes.push(format!("NO{right}"));
            done.push(format!("{right} taken away"));
        }
        let said = match kept(admin, role, database, password).await? {
            Kept::Same => None,
            Kept::OtherRounds => Some("verifier renewed"),
            // A role without limits was made by a version that made other verifiers, too.
            Kept::SameUnseen if limited && admin.may_create_roles => {
                let missing = missing(admin, role).await?;
                (!missing.is_empty()).then_some("verifier renewed")
            }
            Kept::SameUnseen => None,
            Kept::Other => Some("password set"),
        };
        if let Some(said) = said {
            changes.push(format!("PASSWORD '{}'", password.verifier()));
            done.push(said.to_owned());
        }
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
    } else {
        changes.push(format!("LOGIN PASSWORD '{}'", password.verifier()));
        done.push("made".to_owned());
    }
    if !admin.may_create_roles {
        return Err(Error::NoRight {
            role: admin.address.user().to_owned(),
            what: format!("make or change the role {role}"),
        });
    }
    let verb = if row.is_some() { "ALTER" } else { "CREATE" };
    let statement = format!("{verb} ROLE {} {}", quoted(role), changes.join(" "));
    admin.execute(statement).await?;
    Ok(Outcome::Done(done.join(", ")))
}

/// Gives a functions' role its limits, unless it has others. `role` is its own address: it may change its own
/// settings, if the administrator is no superuser.
pub(crate) async fn limit_role(
    admin: &mut Administrator,
    role: &Address,
) -> Result<Outcome, Error> {
    let name = role.user();
    let missing = missing(admin, name).await?;
    if missing.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let statements = missing
        .iter()
        .map(|(setting, value)| format!("ALTER ROLE {} SET {setting} = '{value}'", quoted(name)));
    let statements = statements.collect::<Vec<_>>().join("; ");
    if admin.is_superuser {
        admin.execute(statements).await?;
    } else {
        let mut own = role.connect().await?;
        execute(&mut own, statements).await?;
        own.close()
            .await
            .map_err(Error::sql("close a connection"))?;
    }
    let names = missing.iter().map(|(setting, _)| *setting);
    let names = names.collect::<Vec<_>>().join(" and ");
    Ok(Outcome::Done(format!("{names} set")))
}

/// The limits that a role has no value of.
async fn missing(
    admin: &mut Administrator,
    role: &str,
) -> Result<Vec<(&'static str, &'static str)>, Error> {
    let own: Option<Vec<String>> =
        sqlx::query_scalar("SELECT rolconfig FROM pg_roles WHERE rolname = $1")
            .bind(role)
            .fetch_one(&mut admin.connection)
            .await
            .map_err(Error::sql(format!(
                "look at the settings of the role {role}"
            )))?;
    let own = own.unwrap_or_default();
    let has = |name: &str| {
        let mut names = own.iter().filter_map(|setting| setting.split_once('='));
        names.any(|(own, _)| own == name)
    };
    Ok(LIMITS.into_iter().filter(|(name, _)| !has(name)).collect())
}

/// What the server keeps for a role, compared with this password.
///
/// A superuser sees the verifier. Others try to log in.
async fn kept(
    admin: &mut Administrator,
    role: &str,
    database: &str,
    password: &Password,
) -> Result<Kept, Error> {
    if admin.is_superuser {
        let verifier: Option<String> =
            sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = $1")
                .bind(role)
                .fetch_one(&mut admin.connection)
                .await
                .map_err(Error::sql(format!("look at the role {role}")))?;
        return Ok(match verifier {
            Some(verifier) if password.is_of(&verifier) => {
                if password.has_rounds_of(&verifier) {
                    Kept::Same
                } else {
                    Kept::OtherRounds
                }
            }
            _ => Kept::Other,
        });
    }
    let login = admin.address.login(role, password).database(database);
    match login.connect().await {
        Ok(connection) => {
            let closed = connection.close().await;
            closed
                .map_err(Error::sql("close a connection"))
                .map(|()| Kept::SameUnseen)
        }
        // The password is asked for before the server looks at the database.
        Err(Error::Connect { source, .. })
            if matches!(code(&source).as_deref(), Some("3D000" | "42501")) =>
        {
            Ok(Kept::SameUnseen)
        }
        Err(Error::Connect { source, .. })
            if matches!(code(&source).as_deref(), Some("28P01" | "28000")) =>
        {
            Ok(Kept::Other)
        }
        Err(error) => Err(error),
    }
}
