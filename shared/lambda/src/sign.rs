//! Signature Version 4, of a request's headers or of its URL.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use http::{Request, header};
use zerocart_core::error::BoxError;

/// Who signs, and for which region.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Where the credentials come from: asked for each signature, because they change.
    pub credentials: SharedCredentialsProvider,
    /// The region of what is called.
    pub region: String,
}

impl Signer {
    /// Signs `request`, whose body is `body`, for `service` at `now`: its headers, or with
    /// `expires_in` its URL, which is then good for so long.
    ///
    /// Of its headers those are signed that say where it goes and what it holds; a proxy may change
    /// the others.
    ///
    /// # Errors
    ///
    /// When there are no credentials, or the request cannot be signed.
    pub async fn sign<B>(
        &self,
        request: &mut Request<B>,
        body: &[u8],
        service: &str,
        expires_in: Option<Duration>,
        now: SystemTime,
    ) -> Result<(), BoxError> {
        let identity = self.credentials.provide_credentials().await?.into();
        let mut settings = SigningSettings::default();
        settings.expires_in = expires_in;
        if expires_in.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(now)
            .settings(settings)
            .build()?
            .into();
        let instructions = {
            let headers = request.headers().iter();
            let headers = headers
                .filter(|(name, _)| [header::HOST, header::CONTENT_TYPE].contains(name))
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            let signable = SignableRequest::new(
                request.method().as_str(),
                request.uri().to_string(),
                headers,
                SignableBody::Bytes(body),
            )?;
            sign(signable, &params)?.into_parts().0
        };
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}
