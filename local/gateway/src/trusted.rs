//! The proxies in front of the gateway, and what they say of a client.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::headers::FORWARDED_FOR;

/// The networks whose `X-Forwarded-*` headers are believed: `trusted_ips` of Kong, with
/// `real_ip_header = X-Forwarded-For` and `real_ip_recursive = on`. The default trusts nobody.
///
/// Parsed from a list such as `10.0.0.0/8,192.0.2.1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted(Vec<IpNet>);

/// A part of a list of networks that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no address and no network, such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl FromStr for Trusted {
    type Err = NotANetwork;

    fn from_str(list: &str) -> Result<Self, NotANetwork> {
        let networks = list.split(',').map(str::trim).map(|text| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address
                .or_else(|_| text.parse())
                .map_err(|_| NotANetwork(text.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sender {
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// The client: the peer, or the address that trusted proxies name.
    pub(crate) client: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub(crate) trusted: bool,
}

impl Trusted {
    pub(crate) fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> Sender {
        let peer = peer.to_canonical();
        let trusted = self.contains(peer);
        let client = match trusted {
            true => self.client(peer, headers),
            false => peer,
        };
        Sender {
            peer,
            client,
            trusted,
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Goes through the list from its end, as long as a trusted proxy has added the entry.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let lines = lines.into_iter().rev();
        let entries = lines.flat_map(|line| {
            let entries = line.as_bytes().rsplit(|byte| b", ".contains(byte));
            entries.filter(|entry| !entry.is_empty())
        });
        let mut client = peer;
        for entry in entries {
            if !self.contains(client) {
                break;
            }
            let Some(address) = address(entry) else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// An address, with or without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let trusted: Trusted = "10.0.0.0/8, 192.0.2.1,fd00::/8".parse().unwrap();
        for (peer, lines, client) in [
            ("203.0.113.7", &["1.1.1.1"][..], "203.0.113.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["203.0.113.7:81"], "203.0.113.7"),
            ("fd00::1", &["[2001:db8::7]:81"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
            // What the client says itself stands before what the first trusted proxy says.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
            (
                "10.0.0.1",
                &["1.1.1.1,203.0.113.7 , 192.0.2.1, "],
                "203.0.113.7",
            ),
            ("10.0.0.1", &["203.0.113.7", "10.2.2.2"], "203.0.113.7"),
            ("10.0.0.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            ("10.0.0.1", &["203.0.113.7, unknown"], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let sender = trusted.sender(peer.parse().unwrap(), &headers);
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(sender.client, client, "{peer} {lines:?}");
            assert_eq!(sender.trusted, peer != "203.0.113.7", "{peer}");
        }
    }

    #[test]
    fn a_list_names_networks() {
        for (list, bad) in [
            ("", ""),
            ("10.0.0.0/33", "10.0.0.0/33"),
            ("10.0.0.1,b", "b"),
        ] {
            let error = list.parse::<Trusted>().unwrap_err();
            assert_eq!(error, NotANetwork(bad.to_owned()));
        }
    }
}
