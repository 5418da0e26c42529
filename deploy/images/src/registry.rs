//! Images into a registry.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::{io::Write, time::Duration};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::HeaderValue;
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{IMAGE_LAYER_GZIP_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE},
    secrets::RegistryAuth,
};
use tokio::task::spawn_blocking;

use crate::{
    Error, Image, Repository,
    image::{Blob, manifest},
};

/// How many images are asked for or pushed at the same time.
const AT_ONCE: usize = 4;

/// How long a registry may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a registry may say nothing.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Docker's key for the credentials of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A registry, and who we are there.
pub(crate) struct Registry<'r> {
    client: Client,
    auth: RegistryAuth,
    repository: &'r Repository,
}

impl<'r> Registry<'r> {
    pub(crate) async fn open(repository: &'r Repository) -> Result<Self, Error> {
        // One that another part of this process has installed is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let registry = repository.registry();
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let plain = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let client = Client::try_from(ClientConfig {
            protocol: match plain {
                true => ClientProtocol::Http,
                false => ClientProtocol::Https,
            },
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(READ_LIMIT),
            user_agent: concat!("zerocart/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        Ok(Self {
            client: client.map_err(|error| refused(&repository.to_string(), registry, &error))?,
            auth: credentials(registry).await?,
            repository,
        })
    }

    /// The images that the registry does not have.
    pub(crate) async fn missing<'a>(&self, images: &'a [Image]) -> Result<Vec<&'a Image>, Error> {
        let asked = stream::iter(images).map(async |image| {
            let has = self.has(image).await?;
            Ok((!has).then_some(image))
        });
        let missing = asked.buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(missing.into_iter().flatten().collect())
    }

    async fn has(&self, image: &Image) -> Result<bool, Error> {
        let reference = self.reference(image)?;
        let sign_in = self
            .client
            .auth(&reference, &self.auth, RegistryOperation::Push);
        sign_in.await.map_err(|error| self.refused(image, &error))?;
        match self
            .client
            .pull_image_manifest(&reference, &self.auth)
            .await
        {
            // Compression may differ, the content cannot.
            Ok((manifest, _)) => Ok(manifest.config.digest == image.config.digest),
            Err(OciDistributionError::RequestError(error)) if error.status().is_none() => {
                Err(self.refused(image, &OciDistributionError::RequestError(error)))
            }
            // Registries answer in several ways for what they do not have. What else was wrong shows when
            // the image is pushed.
            Err(_) => Ok(false),
        }
    }

    /// Pushes images, each with its manifest at the end: a name exists only when all behind it does.
    pub(crate) async fn push(
        &self,
        images: &[&Image],
        report: &impl Fn(&str),
    ) -> Result<(), Error> {
        let pushed = stream::iter(images).map(async |image| {
            let result = self.push_one(image).await;
            result.map_err(|error| self.refused(image, &error))?;
            report(&image.reference(self.repository));
            Ok(())
        });
        pushed.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn push_one(&self, image: &Image) -> Result<(), OciDistributionError> {
        let reference = image.reference(self.repository);
        let reference: Reference = reference.parse().map_err(other)?;
        let layer = image.layer.bytes.clone();
        let layer = spawn_blocking(move || compressed(&layer)).await;
        let layer = layer.map_err(other)??;
        for blob in [&layer, &image.config] {
            if !self.client.blob_exists(&reference, &blob.digest).await? {
                let bytes = blob.bytes.clone();
                self.client
                    .push_blob(&reference, bytes, &blob.digest)
                    .await?;
            }
        }
        let manifest = manifest(&image.config, layer.descriptor(IMAGE_LAYER_GZIP_MEDIA_TYPE))?;
        let media_type = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        let name = self
            .client
            .push_manifest_raw(&reference, manifest.bytes, media_type);
        name.await.map(drop)
    }

    fn reference(&self, image: &Image) -> Result<Reference, Error> {
        let name = image.reference(self.repository);
        name.parse().map_err(|error| Error::Push {
            image: name.clone(),
            reason: format!("{error}"),
            unauthorized: None,
        })
    }

    fn refused(&self, image: &Image, error: &OciDistributionError) -> Error {
        let image = image.reference(self.repository);
        refused(&image, self.repository.registry(), error)
    }
}

/// The layer as it is sent: less than half as long.
fn compressed(layer: &[u8]) -> std::io::Result<Blob> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(layer)?;
    Ok(Blob::new(gzip.finish()?))
}

fn other(error: impl std::fmt::Display) -> OciDistributionError {
    OciDistributionError::GenericError(Some(error.to_string()))
}

/// What a registry said, without URLs: those of uploads are signed.
fn refused(image: &str, registry: &str, error: &OciDistributionError) -> Error {
    let mut signed_out = false;
    let reason = match error {
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. } => {
            signed_out = true;
            "the registry does not accept our credentials".to_owned()
        }
        OciDistributionError::ServerError { code, message, .. } => {
            signed_out = [401, 403].contains(code);
            let message: String = message.trim().chars().take(300).collect();
            format!("the registry answers {code} {message}")
        }
        OciDistributionError::RegistryError { envelope, .. } => envelope.to_string(),
        OciDistributionError::RequestError(error) if error.status().is_some() => {
            let status = error.status().map_or(0, |status| status.as_u16());
            signed_out = [401, 403].contains(&status);
            format!("the registry answers {status}")
        }
        OciDistributionError::RequestError(error) => {
            let mut causes = String::from("the registry cannot be reached");
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                causes.push_str(&format!(": {error}"));
                cause = error.source();
            }
            causes
        }
        other => other.to_string(),
    };
    Error::Push {
        image: image.into(),
        reason,
        unauthorized: signed_out.then(|| registry.to_owned()),
    }
}

/// Who we are at a registry: where `docker login` and `podman login` keep it, helpers included.
async fn credentials(registry: &str) -> Result<RegistryAuth, Error> {
    let server = match registry {
        "docker.io" | "index.docker.io" => DOCKER_HUB,
        other => other,
    };
    let server = server.to_owned();
    let found = spawn_blocking(move || match docker_credential::get_credential(&server) {
        Err(error) if none(&error) => docker_credential::get_podman_credential(&server),
        found => found,
    });
    let wrong = |reason: String| Error::Credentials {
        registry: registry.into(),
        reason,
    };
    match found.await.map_err(|error| wrong(error.to_string()))? {
        Ok(DockerCredential::UsernamePassword(name, password)) => {
            Ok(RegistryAuth::Basic(name, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(wrong(
            "they are an identity token; sign in with a user name and an access token".into(),
        )),
        Err(error) if none(&error) => Ok(RegistryAuth::Anonymous),
        // Its output could be a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(wrong(format!("{helper} failed")))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Whether there are no credentials, and nothing is wrong with them.
fn none(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::ConfigNotFound
        | CredentialRetrievalError::ConfigReadError
        | CredentialRetrievalError::NoCredentialConfigured => true,
        // The words of docker's helpers, which have no status for it.
        CredentialRetrievalError::HelperFailure { stdout, .. } => {
            stdout.contains("credentials not found")
        }
        _ => false,
    }
}
