//! Certificates that a deployment makes: of the PostgreSQL in the cluster, with the authority (CA) that signs
//! it, and of the public edge on request.
//!
//! Functions trust the authority alone, and get its certificate as a variable. The server's own
//! certificate lives for a year, and is made anew when a month is left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::{Problem, Result, secrets::Data};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority's certificate is valid.
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3650);

/// How long the server's certificate is valid.
const SERVER_LIFETIME: Duration = DAY.saturating_mul(365);

/// A certificate of which less is left is made anew.
const RENEWED_BEFORE: Duration = DAY.saturating_mul(30);

/// The fields of the Secrets.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";
const EXPIRES: &str = "expires";

/// Makes the authority's key and certificate.
///
/// # Errors
///
/// When the system has no randomness.
pub(crate) fn authority(now: SystemTime) -> Result<Data> {
    let mut params = authority_params();
    valid(&mut params, now, AUTHORITY_LIFETIME);
    let key = KeyPair::generate().map_err(unmade)?;
    let pem = key.serialize_pem();
    let made = CertifiedIssuer::self_signed(params, key).map_err(unmade)?;
    Ok(Data::from([
        (CERTIFICATE.to_owned(), made.pem()),
        (KEY.to_owned(), pem),
        (EXPIRES.to_owned(), seconds(now + AUTHORITY_LIFETIME)),
    ]))
}

/// Makes the server's key and certificate for these names, signed by the authority.
///
/// # Errors
///
/// When the authority's Secret is not as [`authority`] made it.
pub(crate) fn server(authority: &Data, names: &[String], now: SystemTime) -> Result<Data> {
    let field = |name: &str| {
        let value = authority.get(name);
        value.ok_or_else(|| {
            Problem::new(format!(
                "the Secret of the database's authority has no {name}"
            ))
        })
    };
    let key = KeyPair::from_pem(field(KEY)?).map_err(unmade)?;
    let params = authority_params();
    let issuer = Issuer::from_params(&params, key);
    let mut params = CertificateParams::new(names.to_vec()).map_err(unmade)?;
    params.distinguished_name = named(names.first().map_or("postgres", String::as_str));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, SERVER_LIFETIME);
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = params.signed_by(&key, &issuer).map_err(unmade)?;
    Ok(Data::from([
        (CERTIFICATE.to_owned(), certificate.pem()),
        (KEY.to_owned(), key.serialize_pem()),
        (AUTHORITY.to_owned(), field(CERTIFICATE)?.clone()),
        (EXPIRES.to_owned(), seconds(now + SERVER_LIFETIME)),
    ]))
}

/// Makes a key and a certificate for a public edge, which nobody else has signed: clients have to be told
/// to trust it.
///
/// # Errors
///
/// When the system has no randomness.
pub fn self_signed(name: &str, now: SystemTime) -> Result<Data> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(unmade)?;
    params.distinguished_name = named(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid(&mut params, now, SERVER_LIFETIME);
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = params.self_signed(&key).map_err(unmade)?;
    Ok(Data::from([
        (CERTIFICATE.to_owned(), certificate.pem()),
        (KEY.to_owned(), key.serialize_pem()),
        (EXPIRES.to_owned(), seconds(now + SERVER_LIFETIME)),
    ]))
}

/// Whether a certificate that this module made lasts for a month or more.
pub fn lasts(certificate: &Data, now: SystemTime) -> bool {
    let expires = certificate.get(EXPIRES).and_then(|text| text.parse().ok());
    UNIX_EPOCH + Duration::from_secs(expires.unwrap_or_default()) >= now + RENEWED_BEFORE
}

/// What a signature needs to know of the authority, beside its key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("zerocart database authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Whether a server's certificate is to be made anew: it is missing, ends soon, or another authority
/// signed it.
pub(crate) fn is_due(server: Option<&Data>, authority: &Data, now: SystemTime) -> bool {
    let Some(server) = server else { return true };
    server.get(AUTHORITY) != authority.get(CERTIFICATE) || !lasts(server, now)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn valid(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    // Clocks of other machines may be behind.
    params.not_before = (now - DAY).into();
    params.not_after = (now + lifetime).into();
}

fn seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}

fn unmade(error: rcgen::Error) -> Problem {
    Problem::new("a certificate for the database cannot be made").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_anew_before_it_ends_and_for_a_new_authority() {
        let now = SystemTime::now();
        let ca = authority(now).unwrap();
        assert!(is_due(None, &ca, now));
        let made = server(&ca, &["postgres.example".to_owned()], now).unwrap();
        assert!(!is_due(Some(&made), &ca, now));
        assert!(!is_due(Some(&made), &ca, now + SERVER_LIFETIME - 31 * DAY));
        assert!(is_due(Some(&made), &ca, now + SERVER_LIFETIME - 29 * DAY));
        assert!(is_due(Some(&made), &authority(now).unwrap(), now));
        assert_ne!(made["tls.key"], ca["tls.key"]);
    }
}
