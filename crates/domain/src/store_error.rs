//! What every storage port can fail with.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is too busy; the same request may succeed later.
    #[error("store unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database answered with an error that will not go away by itself.
    #[error("store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row does not say what it must; it is left as it is.
    #[error("row {id} of {table} has an invalid {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column whose content is not valid.
        column: &'static str,
        /// The row's identifier.
        id: String,
    },
}
