//! The hosts that speak OpenAI's chat completions: one row of data for each, and what is particular about
//! it as named facts ([`Quirks`]). Adding a host is adding a row to `rows`.
//!
//! A quirk says what a translation must do otherwise. Where the caller speaks the host's format too, bytes
//! pass untouched, so that a host's own refusal reaches its caller; [`needs_translation`] names the few
//! things that every OpenAI client sends as a matter of course and that a host refuses or misreads. A call
//! that holds one of them is translated, and its report says what was done. What a host refuses although it shapes
//! nothing of the answer is left out ([`without_refused_bookkeeping`]).

mod bookkeeping;
mod quirks;
mod rows;
mod translation;

pub use bookkeeping::without_refused_bookkeeping;
pub use quirks::{
    ForcedCalls, OutputBound, PastThoughts, Prefill, Quirks, ReasoningSwitch, SchemaSupport,
    Thoughts,
};
pub use rows::HOSTS;
pub use translation::needs_translation;

use crate::dialect::Format;

/// A host that speaks OpenAI's chat completions.
#[derive(Debug)]
pub struct HostRow {
    /// Its name: of `kind` in the configuration, of a provider that is found, and in the catalog.
    pub name: &'static str,
    /// Where it answers, without a slash at its end; `None` where every account or installation has an
    /// address of its own.
    pub base_url: Option<&'static str>,
    /// Further addresses of the same host: other regions, older names.
    pub also_at: &'static [&'static str],
    /// What the address looks like where every account has its own, for people.
    pub base_url_example: Option<&'static str>,
    /// The variables of the environment that may hold the key, as the vendor's documentation and SDK name
    /// them; the first that is set counts. Empty for a host that wants no key.
    pub key_variables: &'static [&'static str],
    /// Whether a key in the environment is enough to make a provider of it. Not so where the variable
    /// serves other purposes too, or where the key alone does not say where to ask.
    pub is_found_by_key: bool,
    /// The variable by which the vendor's own SDK is pointed elsewhere.
    pub base_url_variable: Option<&'static str>,
    /// What is particular about it.
    pub quirks: Quirks,
    /// Which endpoints it has, as far as its documentation says.
    pub serves: Serves,
    /// Its documentation.
    pub documentation: &'static str,
}

impl HostRow {
    /// Whether it wants no key: a server of the operator's own.
    pub fn is_local(&self) -> bool {
        self.key_variables.is_empty()
    }

    /// Whether this is one of the addresses where it answers.
    pub fn is_at(&self, base_url: &str) -> bool {
        self.base_url == Some(base_url) || self.also_at.contains(&base_url)
    }
}

/// Which endpoints of OpenAI's API a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an endpoint that is there or not"
)]
pub struct Serves {
    /// `/chat/completions`.
    pub chat: bool,
    /// `/responses`.
    pub responses: bool,
    /// `/completions`.
    pub completions: bool,
    /// `/embeddings`, or what stands in its place.
    pub embeddings: bool,
    /// `/rerank`.
    pub rerank: bool,
    /// `/models`.
    pub models: bool,
    /// Batches of its own, at a lower price: at `/files` and `/batches`, unless [`Quirks::batch_jobs`].
    pub batches: bool,
}

impl Serves {
    /// What a host is taken to have of which nothing is known: all but responses, which translate into
    /// chat completions without loss of meaning, and few have, and batches.
    pub const UNKNOWN: Self = Self {
        chat: true,
        responses: false,
        completions: true,
        embeddings: true,
        rerank: true,
        models: true,
        batches: false,
    };
    /// What OpenAI itself has.
    pub const OPENAI: Self = Self {
        chat: true,
        responses: true,
        completions: true,
        embeddings: true,
        rerank: false,
        models: true,
        batches: true,
    };

    /// Whether it has the endpoint of a format. Formats that are not OpenAI's are not its business.
    pub fn has(self, format: Format) -> bool {
        match format {
            Format::OpenaiChat => self.chat,
            Format::OpenaiResponses => self.responses,
            Format::OpenaiCompletions => self.completions,
            Format::AnthropicMessages
            | Format::Gemini
            | Format::CohereChat
            | Format::BedrockConverse => true,
        }
    }
}

/// The row of that name.
pub fn named(name: &str) -> Option<&'static HostRow> {
    HOSTS.iter().find(|row| row.name == name)
}

/// The row of the host that answers at `base_url`, which has no slash at its end.
pub fn at(base_url: &str) -> Option<&'static HostRow> {
    HOSTS.iter().find(|row| row.is_at(base_url))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_and_an_address_lead_to_one_row_only() {
        let mut seen = BTreeSet::new();
        for row in HOSTS {
            assert!(seen.insert(row.name), "{} comes twice", row.name);
            for url in row.base_url.iter().chain(row.also_at) {
                assert!(seen.insert(url), "{url} comes twice");
                assert!(!url.ends_with('/'), "{url} ends in a slash");
                assert!(std::ptr::eq(at(url).unwrap(), row));
            }
            assert!(std::ptr::eq(named(row.name).unwrap(), row));
        }
    }

    #[test]
    fn a_row_says_where_it_answers_and_where_that_is_written() {
        for row in HOSTS {
            assert!(
                row.base_url.is_some() != row.base_url_example.is_some(),
                "{} has an address or an example of one",
                row.name
            );
            assert!(
                !row.is_found_by_key || (row.base_url.is_some() && !row.is_local()),
                "{} cannot be found",
                row.name
            );
            assert!(row.documentation.starts_with("https://"), "{}", row.name);
        }
    }

    #[test]
    fn no_two_hosts_are_found_by_the_same_variable() {
        let mut seen = BTreeSet::new();
        for variable in HOSTS.iter().flat_map(|row| row.key_variables) {
            assert!(seen.insert(variable), "{variable} comes twice");
        }
    }

    #[test]
    fn what_is_refused_is_a_field_of_the_format() {
        for row in HOSTS {
            for field in row.quirks.refused {
                assert!(
                    crate::openai::may_be_refused(field),
                    "{}: {field}",
                    row.name
                );
            }
        }
    }
}
