//! How a section names its keys: once, for the reader and for the schema.

use std::collections::BTreeMap;

use super::problem::Complaint;
use super::scalar::Scalar;

/// A mapping with known keys.
///
/// [`Section::read`] names every key, with its type, its default and its description. The reader
/// ([`super::mapping`]) answers with what the file says; the schema ([`mod@super::schema`]) writes down
/// what was asked. So the two cannot disagree on what there is.
pub(super) trait Section: Sized {
    /// Names all keys first and only then assembles the section: a key that is wrong must not keep
    /// those after it from being looked at. `None` when something is wrong, which was then said, and
    /// when nothing is read but described.
    fn read(fields: &mut impl Fields) -> Option<Self>;
}

/// What stands where a list may, or a section.
pub(super) enum ListOr<T, S> {
    /// The short form.
    List(Vec<T>),
    /// The long one.
    Section(S),
}

/// The keys of a section. A key with nothing after it is as if it were not there.
pub(super) trait Fields {
    /// A key that must be there.
    fn required<T: Scalar>(&mut self, key: &'static str, example: &str, about: &str) -> Option<T>;

    /// A key that may be left out; `None` then, and when what stands there is wrong.
    fn optional<T: Scalar>(&mut self, key: &'static str, example: &str, about: &str) -> Option<T>;

    /// A key that may be left out; `default` holds then, written as in the file.
    fn or<T: Scalar>(&mut self, key: &'static str, default: &str, about: &str) -> Option<T>;

    /// A list of scalars that may be left out; `default` holds then.
    fn list<T: Scalar>(&mut self, key: &'static str, default: &[&str], about: &str) -> Vec<T>;

    /// A list of scalars that may be left out, and is empty then; where it stands there, it has at least one: an empty
    /// list would say something else than it seems to.
    fn some<T: Scalar>(&mut self, key: &'static str, about: &str) -> Vec<T>;

    /// A list of scalars, or a section in its place; the empty list holds where both are left out.
    fn list_or_section<T: Scalar, S: Section>(
        &mut self,
        key: &'static str,
        about: &str,
    ) -> Option<ListOr<T, S>>;

    /// A section that may be left out; its own defaults hold then.
    fn section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S>;

    /// A section that may be left out; `None` then.
    fn optional_section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S>;

    /// A list of at least one section; `None` when one of them is wrong.
    fn some_sections<S: Section>(&mut self, key: &'static str, about: &str) -> Option<Vec<S>>;

    /// A list of sections that may be left out; `None` stands for one that is wrong.
    fn sections<S: Section>(&mut self, key: &'static str, about: &str) -> Vec<Option<S>>;

    /// Sections under names that the operator chooses; `None` when the key is left out. A section that
    /// is wrong is `None` under its name: others may still refer to it.
    fn named_sections<K: Scalar + Ord, S: Section>(
        &mut self,
        key: &'static str,
        example: &str,
        about: &str,
    ) -> Option<BTreeMap<K, Option<S>>>;

    /// Whether something stands under `key`.
    fn is_given(&self, key: &str) -> bool;

    /// Says that something is wrong at `key`, or with the section when the key is not there.
    fn refuse(&mut self, key: &str, complaint: Complaint);
}
