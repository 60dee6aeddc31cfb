//! What the walkers of fixtures have in common.

use std::collections::BTreeMap;

use providers::face::Asked;
use serde::Deserialize;

/// What a caller says beside the body, as it stands in `target.json`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AskedFile {
    model: Option<String>,
    stream: Option<bool>,
    fields: BTreeMap<String, String>,
}

impl From<AskedFile> for Asked {
    fn from(file: AskedFile) -> Self {
        let field = |(name, value): (String, String)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        };
        Self {
            model: file.model.map(|model| model.parse().unwrap()),
            stream: file.stream,
            headers: file.fields.into_iter().map(field).collect(),
            request_id: "req_of_the_gateway".to_owned(),
        }
    }
}

/// The bytes one by one, in two halves at every place of the first kilobyte, and in random pieces that
/// are the same in every run.
pub(crate) fn splits(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut splits = vec![bytes.chunks(1).collect()];
    for at in 1..bytes.len().min(1024) {
        let (left, right) = bytes.split_at(at);
        splits.push(vec![left, right]);
    }
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20 {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let length = usize::try_from(state >> 58).unwrap() + 1;
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        splits.push(pieces);
    }
    splits
}
