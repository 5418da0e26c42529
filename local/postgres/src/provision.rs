//! The databases of this server.

use zerocart_provision::{Address, Administrator, Names, Passwords};

use crate::passwords::Url;
use crate::{Error, Server};

/// A domain's database and roles on a server.
///
/// The role of the functions may connect and use the schema `public`; everything else it is
/// granted by the migrations. The owner runs those. Neither can connect to another domain's
/// database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Database {
    /// The domain, such as `user`.
    pub domain: String,
    /// The database, `zerocart_<domain>`.
    pub name: String,
    /// For the functions: the role `zerocart_<domain>`.
    pub url: Url,
    /// For migrations: the role `zerocart_<domain>_owner`.
    pub owner_url: Url,
}

/// Makes the database and the roles of every domain. What exists stays.
///
/// Passwords are made once and kept in the server's folder. A role whose password was lost with
/// that file gets a new one.
///
/// # Errors
///
/// [`Error::Provision`]: for a name that cannot be used, before anything is changed; when the server
/// refuses something.
pub async fn provision(server: &Server, domains: &[&str]) -> Result<Vec<Database>, Error> {
    let names = domains.iter().map(|domain| Names::of(domain));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut roles = Passwords::new();
    {
        let mut kept = server.passwords.lock().await;
        for role in names.iter().flat_map(|names| [&names.role, &names.owner]) {
            roles.insert(role.clone(), kept.get_or_make(role)?);
        }
    }
    let mut admin = Administrator::connect(&server.admin()).await?;
    admin.provision(domains, &roles, drop).await?;
    admin.close().await?;
    let databases = domains.iter().zip(names).map(|(domain, names)| {
        let url = |role: &str| {
            let password = roles.get(role).cloned().unwrap_or_default();
            Url::new(role, &password, server.port(), &names.database)
        };
        Database {
            domain: (*domain).to_owned(),
            url: url(&names.role),
            owner_url: url(&names.owner),
            name: names.database,
        }
    });
    Ok(databases.collect())
}

impl Server {
    /// Copies a domain's database, with what its migrations made, under another name.
    ///
    /// For tests: see [`Administrator::copy_database`].
    ///
    /// # Errors
    ///
    /// [`Error::Provision`].
    pub async fn copy_database(&self, from: &Database, name: &str) -> Result<Database, Error> {
        let mut admin = Administrator::connect(&self.admin()).await?;
        admin.copy_database(&from.domain, name).await?;
        admin.close().await?;
        Ok(Database {
            domain: from.domain.clone(),
            name: name.to_owned(),
            url: from.url.database(name),
            owner_url: from.owner_url.database(name),
        })
    }

    /// The superuser's address.
    fn admin(&self) -> Address {
        self.admin_url("postgres").address()
    }
}
