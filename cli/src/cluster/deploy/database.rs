//! The steps of the databases.

use std::{collections::BTreeMap, fs};

use zerocart_cluster::{Problem, database};
use zerocart_core::Env;

use super::{Deployment, FILES};
use crate::domains;

/// The variable with the password of a managed server's administrator.
const PASSWORD: &str = "ADMIN_DATABASE_PASSWORD";

impl Deployment {
    /// Secrets, and the server where it is in the cluster. Says whether functions that run have others.
    pub(super) async fn database(&self) -> Result<(bool, String), Problem> {
        let server = self.server()?;
        let mut applied = database::prepare(&self.kubectl, &server, &domains::names()).await?;
        let renewed = applied.changed > 0;
        if let database::Server::InCluster { storage, class } = &server {
            let manifest = self.project.root().join(FILES).join("postgres.yaml");
            let (storage, class) = (storage.as_deref(), class.as_deref());
            applied +=
                database::start(&self.kubectl, &self.progress, &manifest, storage, class).await?;
        }
        Ok((renewed, applied.to_string()))
    }

    /// Databases, roles, tables and the first admin. Returns the admin's password while nobody knows it.
    pub(super) async fn provision(
        &self,
        images: &BTreeMap<String, String>,
    ) -> Result<(Option<String>, String), Problem> {
        let manifest = self.project.root().join(FILES).join("provision.yaml");
        let done = database::provision(&self.kubectl, &self.progress, &manifest, images).await?;
        let said = match done.ran {
            true => done.log.lines().last().unwrap_or("done").trim().to_owned(),
            false => "unchanged".to_owned(),
        };
        Ok((done.admin, said))
    }

    fn server(&self) -> Result<database::Server, Problem> {
        let options = &self.args.database;
        let Some(url) = &options.database_url else {
            return Ok(database::Server::InCluster {
                storage: options.storage.clone(),
                class: options.storage_class.clone(),
            });
        };
        let roots = options.database_root_certificate.as_ref();
        let roots = roots.map(|file| {
            fs::read_to_string(file).map_err(|error| {
                Problem::new(format!(
                    "--database-root-certificate {} cannot be read",
                    file.display()
                ))
                .because(error)
            })
        });
        let env = Env::of_process();
        Ok(database::Server::Managed {
            url: database::with_password(url, env.get(PASSWORD).unwrap_or_default(), PASSWORD)?,
            roots: roots.transpose()?,
        })
    }
}
