//! Versions of programs and servers, as far as they are compared.

use std::fmt;

/// The numbers of a version; what follows them (`-rc.1`, `+k3s1`) is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The first word of a text that is a version, such as `v1.36.1` or `0.32.0`.
    pub(crate) fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let mut numbers = word.strip_prefix('v').unwrap_or(word).splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = leading(numbers.next()?)?;
        let patch = numbers.next().and_then(leading).unwrap_or(0);
        Some(Self::new(major, minor, patch))
    }
}

fn leading(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_as_each_program_writes_it() {
        for (text, expected) in [
            (
                "kind v0.33.0 go1.26.8 linux/amd64",
                Some(Version::new(0, 33, 0)),
            ),
            ("v3.14.2+gc309b6f", Some(Version::new(3, 14, 2))),
            ("v1.34.3-eks-4a5b6c", Some(Version::new(1, 34, 3))),
            ("v1.32.4-dispatcher", Some(Version::new(1, 32, 4))),
            ("1.36+", Some(Version::new(1, 36, 0))),
            ("devel", None),
            ("20260616-05581d91e", None),
        ] {
            assert_eq!(Version::find(text), expected, "{text}");
        }
        assert!(Version::new(1, 9, 9) < Version::new(1, 23, 0));
    }
}
