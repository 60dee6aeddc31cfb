//! Which models and addresses a key permits.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A model name in which `*` stands for any text: `*`, `openai/*`, `claude-*-5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern(String);

impl ModelPattern {
    /// A pattern as an operator wrote it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `model` is one of the names that the pattern stands for.
    pub fn matches(&self, model: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(mut rest) = pieces.next().and_then(|first| model.strip_prefix(first)) else {
            return false;
        };
        let mut ends_open = true;
        let mut pieces = pieces.peekable();
        if pieces.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                return rest.ends_with(piece);
            }
            let Some((_, after)) = rest.split_once(piece) else {
                ends_open = false;
                break;
            };
            rest = after;
        }
        ends_open
    }
}

/// A range of addresses in CIDR notation (RFC 4632, RFC 4291), or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    prefix: u8,
}

/// The text is not an address range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an IP address or a range such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct InvalidAddressRange;

impl AddressRange {
    /// Whether `address` lies in the range. An IPv4 address that came mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let bits = |ip: std::net::Ipv4Addr| u32::from(ip).checked_shr(shift);
                bits(network) == bits(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let bits = |ip: std::net::Ipv6Addr| u128::from(ip).checked_shr(shift);
                bits(network) == bits(address)
            }
            _ => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| InvalidAddressRange)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| InvalidAddressRange)?,
            None => longest,
        };
        if prefix > longest {
            return Err(InvalidAddressRange);
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let matches = |pattern: &str, model: &str| ModelPattern::new(pattern).matches(model);
        assert!(matches("*", "anything"));
        assert!(matches("openai/*", "openai/gpt-5.4"));
        assert!(!matches("openai/*", "azure/gpt-5.4"));
        assert!(matches("claude-*-5", "claude-haiku-4-5"));
        assert!(!matches("claude-*-5", "claude-haiku-4-6"));
        assert!(matches("gpt-5", "gpt-5"));
        assert!(!matches("gpt-5", "gpt-5.4"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*b*c", "a-c"));
    }

    #[test]
    fn a_range_contains_its_addresses_only() {
        let contains = |range: &str, address: &str| {
            range
                .parse::<AddressRange>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.1.2.3"));
        assert!(contains("0.0.0.0/0", "8.8.8.8"));
        assert!(contains("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(contains("2001:db8::/32", "2001:db8::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        assert!(!contains("::/0", "10.0.0.1"));
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0", "10.0.0.0/x"] {
            assert_eq!(
                text.parse::<AddressRange>(),
                Err(InvalidAddressRange),
                "{text}"
            );
        }
    }
}
