//! Where shared state is.

use std::fmt;
use std::str::FromStr;

use domain::secret::Secret;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// Where shared state is: a server of Valkey's or Redis'. Parses from a URL such as
/// `redis://user:password@host:6379/0` and prints without the password.
#[derive(Debug, Clone)]
pub struct Location(Secret<String>);

/// Why a text is no location. The text itself is left out: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// It begins with something else.
    #[error(
        "shared state is written redis://HOST:6379, rediss://HOST:6379 for TLS, or redis+unix:///PATH"
    )]
    Scheme,
    /// It names a cluster.
    #[error(
        "Redis Cluster is not spoken: name one server that is part of none, as in redis://HOST:6379"
    )]
    Cluster,
    /// The URL is not one of Redis'.
    #[error("the URL is not one of Redis', as in redis://USER:PASSWORD@HOST:6379/0")]
    Url,
    /// The URL asks for certificates not to be looked at.
    #[error("certificates are always verified: leave #insecure out")]
    Insecure,
}

/// As the registry of URL schemes has them, and Valkey's own names for the same.
const SCHEMES: [&str; 6] = [
    "redis://",
    "rediss://",
    "valkey://",
    "valkeys://",
    "redis+unix://",
    "valkey+unix://",
];

impl Location {
    /// The same as the library wants it.
    pub(crate) fn connection_info(&self) -> Result<ConnectionInfo, InvalidLocation> {
        let url: &str = self.0.reveal();
        url.into_connection_info().map_err(|_| InvalidLocation::Url)
    }
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let authority = rest
            .split_once('/')
            .map_or(rest, |(authority, _)| authority);
        let hosts = authority
            .rsplit_once('@')
            .map_or(authority, |(_, hosts)| hosts);
        if scheme.contains("cluster") || hosts.contains(',') {
            return Err(InvalidLocation::Cluster);
        }
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(InvalidLocation::Scheme);
        }
        let location = Self(Secret::new(text.to_owned()));
        match location.connection_info()?.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => Err(InvalidLocation::Insecure),
            _ => Ok(location),
        }
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.0.reveal() == other.0.reveal()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection_info() {
            Ok(info) => write!(formatter, "{}/{}", info.addr(), info.redis_settings().db()),
            Err(_) => formatter.write_str("redis://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_server_are_read() {
        for text in [
            "redis://127.0.0.1:6379",
            "valkey://cache.internal/3",
            "rediss://ann:hunter2@cache.example:6380/0",
            "redis://ann:one,two@cache.example:6379",
            "redis+unix:///run/redis.sock",
        ] {
            assert!(text.parse::<Location>().is_ok(), "{text}");
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_the_password() {
        let location: Location = "rediss://ann:hunter2@cache.example:6380/2".parse().unwrap();
        assert_eq!(location.to_string(), "cache.example:6380/2");
        assert_eq!(format!("{location:?}"), "Location(***)");
    }

    #[test]
    fn what_is_no_location_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", InvalidLocation::Scheme),
            ("127.0.0.1:6379", InvalidLocation::Scheme),
            ("memcached://host", InvalidLocation::Scheme),
            ("redis://host:port", InvalidLocation::Url),
            ("redis+cluster://host:6379", InvalidLocation::Cluster),
            ("redis://one:6379,two:6379", InvalidLocation::Cluster),
            ("redis://host/first", InvalidLocation::Url),
            ("rediss://host:6379/#insecure", InvalidLocation::Insecure),
        ] {
            assert_eq!(text.parse::<Location>().unwrap_err(), reason, "{text}");
        }
    }
}
