//! `server`: the address, and what bounds a request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use domain::secret::Secret;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::scalar::{Misfit, Scalar};
use super::size::ByteSize;

/// The fewest characters of the secret under which key texts are hashed.
const MIN_SECRET: usize = 32;

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The largest request body.
    pub max_body: ByteSize,
    /// The most messages of one chat request.
    pub max_messages: NonZeroU32,
    /// Under which key texts are hashed, 32 characters or more; `None` leaves it to the data directory,
    /// which then holds one.
    pub secret: Option<Secret<String>>,
    /// How long a connection to a provider may take to come about.
    pub connect_timeout: Duration,
    /// How long running requests may take to end when the server stops.
    pub drain: Duration,
}

impl Section for Server {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let listen = fields.or(
            "listen",
            "127.0.0.1:8080",
            "The address and port to listen on; `--listen` wins over it.",
        );
        let max_body = fields.or(
            "max_body",
            "64MiB",
            "The largest request body; a larger one is answered with status 413.",
        );
        let max_messages = fields.or(
            "max_messages",
            "10000",
            "The most messages in one chat request; more are answered with status 400.",
        );
        let secret: Option<HashSecret> = fields.optional(
            "secret",
            "${TRUNKLINE_SECRET}",
            "The secret under which virtual keys are hashed, at least 32 characters; another one \
             recognises none of the same keys. Left out, one is made in the data directory. \
             Replicas that share a store share it.",
        );
        let connect_timeout = fields.or(
            "connect_timeout",
            "10s",
            "How long a connection to a provider may take to come about: name, TCP and TLS. Changing it \
             needs a restart.",
        );
        let drain = fields.or(
            "drain",
            "30s",
            "How long running requests may take to end when the server stops; then they are cut \
             off and settled.",
        );
        Some(Self {
            listen: listen?,
            max_body: max_body?,
            max_messages: max_messages?,
            secret: secret.map(|secret| secret.0),
            connect_timeout: connect_timeout?,
            drain: drain?,
        })
    }
}

struct HashSecret(Secret<String>);

impl Scalar for HashSecret {
    const EXPECTED: &'static str = "a secret of 32 characters or more";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.chars().count() < MIN_SECRET {
            return Err(Misfit {
                reason: Some("it is too short".to_owned()),
                suggestion: Some("make one with `openssl rand -base64 32`".to_owned()),
            });
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Scalar for SocketAddr {
    const EXPECTED: &'static str = "an address and port such as `127.0.0.1:8080` or `[::1]:8080`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, "8080"));
            let address: Option<IpAddr> = match host {
                "" | "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
                "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
                host => host.parse().ok(),
            };
            match (address, port.parse::<u16>()) {
                (Some(address), Ok(port)) => {
                    Misfit::suggest(format!("write `{}`", Self::new(address, port)))
                }
                (_, Err(_)) => Misfit::because("the port is a number from 0 to 65535"),
                (None, Ok(_)) => Misfit::because("it is an IP address, not a name"),
            }
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\[[0-9A-Fa-f:.]+(%[0-9]+)?\\]|[0-9.]+):[0-9]{1,5}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_ways_to_write_an_address_are_corrected() {
        for (text, suggestion) in [
            (":8080", "write `0.0.0.0:8080`"),
            ("localhost:8080", "write `127.0.0.1:8080`"),
            ("127.0.0.1", "write `127.0.0.1:8080`"),
            ("::1:8080", "write `[::1]:8080`"),
        ] {
            let misfit = <SocketAddr as Scalar>::parse(text).unwrap_err();
            assert_eq!(misfit.suggestion.as_deref(), Some(suggestion), "{text}");
        }
        for text in ["example.com:80", "127.0.0.1:70000", "127.0.0.1:http"] {
            assert!(<SocketAddr as Scalar>::parse(text).is_err(), "{text}");
        }
    }
}
