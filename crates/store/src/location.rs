//! Where the store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::secret::Secret;
use sqlx::postgres::PgConnectOptions;

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
            let _: PgConnectOptions = text.parse().map_err(|_| InvalidLocation::Url)?;
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
