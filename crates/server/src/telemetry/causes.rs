//! An error with everything that led to it, in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes. An error alone shows what could not be done; why is in its sources.
#[derive(Debug, Clone, Copy)]
pub struct Causes<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_shown() {
        let cause = std::io::Error::other("the wire is cut");
        let error = domain::store_error::StoreError::Unavailable(Box::new(cause));
        assert_eq!(
            Causes(&error).to_string(),
            "store unavailable: the wire is cut"
        );
    }
}
