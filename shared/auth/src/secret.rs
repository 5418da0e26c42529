//! Secrets that are drawn at random.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomUnavailable;

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| RandomUnavailable)
}

/// Draws a secret with at least `entropy_bits` bits of entropy, as URL-safe text.
///
/// The text is base64url without padding: letters, digits, `-` and `_`, four characters for each
/// three bytes. It is erased from memory when dropped.
///
/// # Errors
///
/// [`RandomUnavailable`] when the operating system gives no random bytes.
pub fn generate_secret(entropy_bits: usize) -> Result<Zeroizing<String>, RandomUnavailable> {
    let mut bytes = Zeroizing::new(vec![0; entropy_bits.div_ceil(8)]);
    fill(&mut bytes)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_holds_the_entropy_that_was_asked_for() {
        for (entropy_bits, length) in [(128, 22), (129, 23), (192, 32), (256, 43)] {
            let secret = generate_secret(entropy_bits).unwrap();
            assert_eq!(secret.len(), length);
            assert!(
                secret
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            );
            assert_ne!(secret, generate_secret(entropy_bits).unwrap());
        }
    }
}
