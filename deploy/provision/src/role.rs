//! One role.

use sqlx::Connection;

use crate::administrator::Administrator;
use crate::error::code;
use crate::names::quoted;
use crate::{Error, Outcome, Password};

/// A role's row: may it log in, and what else may it do that it must not.
type Row = (bool, Vec<String>);

/// Makes a role that may log in with this password and nothing else, or makes it so.
pub(crate) async fn open_role(
    admin: &mut Administrator,
    role: &str,
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
        if has_password(admin, role, database, password).await? {
            if changes.is_empty() {
                return Ok(Outcome::Unchanged);
            }
        } else {
            changes.push(format!("PASSWORD '{}'", password.verifier()));
            done.push("password set".to_owned());
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

/// Whether this is the role's password already.
///
/// A superuser sees the verifier. Others try to log in.
async fn has_password(
    admin: &mut Administrator,
    role: &str,
    database: &str,
    password: &Password,
) -> Result<bool, Error> {
    if admin.is_superuser {
        let verifier: Option<String> =
            sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = $1")
                .bind(role)
                .fetch_one(&mut admin.connection)
                .await
                .map_err(Error::sql(format!("look at the role {role}")))?;
        return Ok(verifier.is_some_and(|verifier| password.is_of(&verifier)));
    }
    let login = admin.address.login(role, password).database(database);
    match login.connect().await {
        Ok(connection) => {
            let closed = connection.close().await;
            closed
                .map_err(Error::sql("close a connection"))
                .map(|()| true)
        }
        // The password is asked for before the server looks at the database.
        Err(Error::Connect { source, .. })
            if matches!(code(&source).as_deref(), Some("3D000" | "42501")) =>
        {
            Ok(true)
        }
        Err(Error::Connect { source, .. })
            if matches!(code(&source).as_deref(), Some("28P01" | "28000")) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
