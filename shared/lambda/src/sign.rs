//! AWS Signature Version 4, in a request's headers or in its URL.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use http::{Request, header};
use zerocart_core::error::BoxError;

/// A signer: credentials and region.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The source of the credentials. It is asked for each signature, because credentials change.
    pub credentials: SharedCredentialsProvider,
    /// The region of the service that is called.
    pub region: String,
}

impl Signer {
    /// Signs `request` with the body `body`, for `service`, at the time `now`. The signature is in
    /// the headers, or with `expires_in` in the URL, which is then valid for that time.
    ///
    /// Only headers about the destination and the content are signed; a proxy may change the
    /// others.
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
