//! Citations. The vendor's clients insist on its own kinds and fail on another (the Vercel AI SDK refuses the
//! whole answer), so a citation of another kind stands beside them, in `native_annotations`.

use domain::chat::{Annotation, Text};

use super::fields::Fields;
use crate::face::InvalidRequest;

/// Our own extension field: citations as the provider that answered describes them.
pub(super) const NATIVE: &str = "native_annotations";

/// Why a citation of an earlier answer does not go on.
pub(super) const FOREIGN: &str = "the citations are of another provider's kind";

/// The kind that chat completions have (<https://platform.openai.com/docs/api-reference/chat/object>).
pub(super) const URL: &str = "url_citation";

/// The kinds of the Responses API
/// (<https://platform.openai.com/docs/api-reference/responses/object>).
pub(super) const RESPONSES: [&str; 4] =
    [URL, "file_citation", "container_file_citation", "file_path"];

/// Takes the citations of a message or part, those of other kinds too.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Vec<Annotation>, InvalidRequest> {
    let mut annotations = Vec::new();
    for name in ["annotations", NATIVE] {
        for (_, raw) in fields.list(name)?.unwrap_or_default() {
            annotations.extend(serde_json::from_str::<Annotation>(raw.get()));
        }
    }
    Ok(annotations)
}

/// The citations that clients of chat completions take, then the others.
pub(super) fn parted<'a>(
    texts: impl Iterator<Item = &'a Text>,
) -> (Vec<&'a Annotation>, Vec<&'a Annotation>) {
    texts
        .flat_map(|text| &text.annotations)
        .partition(|it| is_of(it, &[URL]))
}

/// Whether a citation is of one of these kinds.
pub(super) fn is_of(annotation: &Annotation, kinds: &[&str]) -> bool {
    let kind = annotation.get("type").and_then(|kind| kind.as_str());
    kind.is_some_and(|kind| kinds.contains(&kind))
}
