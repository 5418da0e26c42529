//! Ed25519 from ring as the cryptography of `jsonwebtoken`.
//!
//! The providers of `jsonwebtoken` also link RSA, P-256 and P-384 into every function. This one has
//! EdDSA only, and refuses the rest. There is no code that could accept another algorithm.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory,
    verifier_factory,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Makes ring the provider of this process. Must be called before anything is signed or verified.
/// Calling it again changes nothing.
pub(crate) fn install() {
    // The error says that a provider is there already: ours, since no other crate of the
    // workspace uses `jsonwebtoken`. A foreign one would fail on our key format, not accept more.
    let _ = PROVIDER.install_default();
}

/// The key for signing, from an Ed25519 seed (RFC 8032, section 5.1.5). Erased when dropped.
pub(crate) fn encoding_key(seed: &[u8; 32]) -> EncodingKey {
    // Named after DER, but the bytes are passed on as they are, to `signer_factory` below.
    EncodingKey::from_ed_der(seed)
}

/// The key for verifying, from an Ed25519 public key.
pub(crate) fn decoding_key(public: &[u8; 32]) -> DecodingKey {
    DecodingKey::from_ed_der(public)
}

fn unsupported() -> Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

fn signer_factory(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
        return Err(unsupported());
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(key.as_bytes())
        .map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
    Ok(Box::new(RingSigner(pair)))
}

fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if *algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
        return Err(unsupported());
    }
    let public = <[u8; 32]>::try_from(key.try_get_as_bytes()?)
        .map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
    Ok(Box::new(RingVerifier(UnparsedPublicKey::new(
        &ED25519, public,
    ))))
}

struct RingSigner(Ed25519KeyPair);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingVerifier(UnparsedPublicKey<[u8; 32]>);

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        self.0
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const MESSAGE: &[u8] = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B\
                             hVsPt9g7sVvpAr_MuM0KAg";

    fn bytes(text: &str) -> [u8; 32] {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        bytes.try_into().unwrap()
    }

    /// RFC 8037, appendix A.4.
    #[test]
    fn signs_as_the_rfc() {
        install();
        let key = encoding_key(&bytes(SEED));
        let signature = jsonwebtoken::crypto::sign(MESSAGE, &key, Algorithm::EdDSA).unwrap();
        assert_eq!(signature, SIGNATURE);
    }

    /// RFC 8037, appendix A.5.
    #[test]
    fn verifies_as_the_rfc() {
        install();
        let key = decoding_key(&bytes(PUBLIC));
        let verify = |message, key: &_| {
            jsonwebtoken::crypto::verify(SIGNATURE, message, key, Algorithm::EdDSA).unwrap()
        };
        assert!(verify(MESSAGE, &key));
        assert!(!verify(&MESSAGE[1..], &key));
        assert!(!verify(MESSAGE, &decoding_key(&bytes(SEED))));
    }

    #[test]
    fn knows_no_other_algorithm() {
        install();
        let secret = DecodingKey::from_secret(&bytes(PUBLIC));
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256] {
            for key in [&secret, &decoding_key(&bytes(PUBLIC))] {
                assert!(verifier_factory(&algorithm, key).is_err(), "{algorithm:?}");
            }
            assert!(signer_factory(&algorithm, &encoding_key(&bytes(SEED))).is_err());
        }
        assert!(verifier_factory(&Algorithm::EdDSA, &secret).is_err());
        let short = EncodingKey::from_ed_der(&[0; 31]);
        assert!(signer_factory(&Algorithm::EdDSA, &short).is_err());
    }
}
