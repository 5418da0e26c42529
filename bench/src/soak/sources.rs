//! The addresses that customers call from.

use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

/// The most addresses of one range.
const MAX_RANGE: u32 = 1000;

/// An address, or a range of IPv4 addresses, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sources(Vec<IpAddr>);

impl Sources {
    /// All addresses, in their order.
    pub(crate) fn all(sources: &[Self]) -> Vec<IpAddr> {
        let sources = sources.iter().flat_map(|Self(sources)| sources);
        sources.copied().collect()
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((first, last)) = text.split_once('-') else {
            let source = text.parse().map_err(|_| wrong(text))?;
            return Ok(Self(vec![source]));
        };
        let end = |text: &str| text.parse::<Ipv4Addr>().map(u32::from);
        let (Ok(first), Ok(last)) = (end(first), end(last)) else {
            return Err(wrong(text));
        };
        if last < first || last - first >= MAX_RANGE {
            return Err(format!("{text} is no range of 1 to {MAX_RANGE} addresses"));
        }
        let range = (first..=last).map(|n| IpAddr::V4(n.into()));
        Ok(Self(range.collect()))
    }
}

fn wrong(text: &str) -> String {
    format!("{text} is no address, and no range such as 127.0.1.1-127.0.1.40")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_both_ends() {
        let all = |texts: &[&str]| {
            let sources: Vec<Sources> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let all = Sources::all(&sources).into_iter();
            all.map(|source| source.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            all(&["127.0.1.254-127.0.2.1", "::1"]),
            [
                "127.0.1.254",
                "127.0.1.255",
                "127.0.2.0",
                "127.0.2.1",
                "::1"
            ]
        );
        for bad in [
            "",
            "here",
            "127.0.1.9-127.0.1.1",
            "0.0.0.0-9.0.0.0",
            "::1-::2",
        ] {
            assert!(bad.parse::<Sources>().is_err(), "{bad:?}");
        }
    }
}
