//! Where the store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::secret::Secret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Where the store is: a file, or a PostgreSQL server. Parses from `sqlite:FILE` and from a URL such as
/// `postgres://user:password@host:5432/database`; prints without the password.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file of SQLite's; it is made when it is not there.
    Sqlite(PathBuf),
    /// A connection URL of PostgreSQL's (<https://www.postgresql.org/docs/15/libpq-connect.html>, 34.1.1.2).
    Postgres(Secret<String>),
}

/// Why a text is no location. The text itself is left out: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// It begins with neither.
    #[error("a store is written sqlite:FILE or postgres://USER@HOST/DATABASE")]
    Scheme,
    /// There is no file name after `sqlite:`.
    #[error("the file is missing after sqlite:, as in sqlite:trunkline.db")]
    NoFile,
    /// SQLite's memory, which several connections do not share and which forgets.
    #[error("a store in memory would forget its calls; name a file, as in sqlite:trunkline.db")]
    InMemory,
    /// PostgreSQL's URL is not one.
    #[error(
        "the URL is not one of PostgreSQL's, as in postgres://USER:PASSWORD@HOST:5432/DATABASE"
    )]
    Url,
    /// PostgreSQL's certificate is to be checked, and nothing says against what.
    #[error(
        "sslmode=verify-ca and verify-full check the server's certificate: name that of its authority, as in \
         sslrootcert=/etc/ssl/certs/ca-certificates.crt"
    )]
    NoAuthority,
}

impl Location {
    /// The same place, a relative file taken as one in `directory`.
    #[must_use]
    pub fn within(self, directory: &Path) -> Self {
        match self {
            Self::Sqlite(file) => Self::Sqlite(directory.join(file)),
            Self::Postgres(url) => Self::Postgres(url),
        }
    }
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options: PgConnectOptions = text.parse().map_err(|_| InvalidLocation::Url)?;
            if is_to_be_checked(&options) && !names_an_authority(text) {
                return Err(InvalidLocation::NoAuthority);
            }
            return Ok(Self::Postgres(Secret::new(text.to_owned())));
        }
        let file = text
            .strip_prefix("sqlite:")
            .ok_or(InvalidLocation::Scheme)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        match file {
            "" => Err(InvalidLocation::NoFile),
            ":memory:" => Err(InvalidLocation::InMemory),
            _ => Ok(Self::Sqlite(file.into())),
        }
    }
}

fn is_to_be_checked(options: &PgConnectOptions) -> bool {
    use PgSslMode::{VerifyCa, VerifyFull};
    matches!(options.get_ssl_mode(), VerifyCa | VerifyFull)
}

/// Whether the URL has the driver's parameter, by one of its names. It knows no authority of itself.
fn names_an_authority(url: &str) -> bool {
    let (_, parameters) = url.split_once('?').unwrap_or_default();
    parameters.split('&').any(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        ["sslrootcert", "ssl-root-cert", "ssl-ca"].contains(&name)
    })
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(formatter, "sqlite:{}", file.display()),
            Self::Postgres(url) => match url.reveal().parse::<PgConnectOptions>() {
                Ok(options) => write!(
                    formatter,
                    "postgres://{}@{}:{}/{}",
                    options.get_username(),
                    options.get_host(),
                    options.get_port(),
                    options.get_database().unwrap_or(options.get_username()),
                ),
                Err(_) => formatter.write_str("postgres://"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        match text.parse() {
            Ok(Location::Sqlite(file)) => file,
            other => panic!("{text} is read as {other:?}"),
        }
    }

    #[test]
    fn a_file_is_written_with_or_without_slashes() {
        assert_eq!(file("sqlite:trunkline.db"), Path::new("trunkline.db"));
        assert_eq!(file("sqlite://trunkline.db"), Path::new("trunkline.db"));
        assert_eq!(file("sqlite:///var/lib/t.db"), Path::new("/var/lib/t.db"));
        assert_eq!(file("sqlite:/var/lib/t.db"), Path::new("/var/lib/t.db"));
    }

    #[test]
    fn a_relative_file_is_taken_as_one_in_the_directory() {
        let within = |text: &str| {
            let location: Location = text.parse().unwrap();
            location.within(Path::new("/data")).to_string()
        };
        assert_eq!(within("sqlite:t.db"), "sqlite:/data/t.db");
        assert_eq!(within("sqlite:/var/t.db"), "sqlite:/var/t.db");
    }

    #[test]
    fn a_certificate_that_is_to_be_checked_needs_an_authority() {
        let read = |parameters: &str| {
            let text = format!("postgres://db.example/ledger?{parameters}");
            text.parse::<Location>().map_err(|error| error.to_string())
        };
        for parameters in ["sslmode=require", "sslmode=verify-full&sslrootcert=ca.pem"] {
            assert!(read(parameters).is_ok(), "{parameters}");
        }
        for parameters in ["sslmode=verify-full", "sslmode=verify-ca"] {
            let error = read(parameters).unwrap_err();
            assert!(error.contains("sslrootcert="), "{error}");
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_the_password() {
        let location: Location = "postgresql://ann:hunter2@db.example:6432/ledger"
            .parse()
            .unwrap();
        assert_eq!(
            location.to_string(),
            "postgres://ann@db.example:6432/ledger"
        );
        assert_eq!(format!("{location:?}"), "Postgres(***)");
    }

    #[test]
    fn what_is_no_location_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", InvalidLocation::Scheme),
            ("mysql://localhost/t", InvalidLocation::Scheme),
            ("trunkline.db", InvalidLocation::Scheme),
            ("sqlite:", InvalidLocation::NoFile),
            ("sqlite://", InvalidLocation::NoFile),
            ("sqlite::memory:", InvalidLocation::InMemory),
            ("postgres://host:port/t", InvalidLocation::Url),
        ] {
            assert_eq!(text.parse::<Location>().unwrap_err(), reason, "{text}");
        }
    }
}
