//! Tools that Anthropic describes and the caller runs. Claude knows them by their type; to models of others
//! they are described as the functions that they are, so that the caller gets the calls it waits for.
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/text-editor-tool>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/memory-tool>

/// How a tool is described.
pub(super) struct Described {
    pub(super) description: &'static str,
    /// The JSON Schema of its input.
    pub(super) schema: &'static str,
}

/// The description of a tool by its kind, which is its type without the date; `None` when the vendor runs
/// it, or when it makes no sense without the vendor's training.
pub(super) fn described(kind: &str) -> Option<Described> {
    match kind {
        "bash" => Some(Described {
            description: "Runs a command in a bash session that keeps its state from call to call, and \
                          gives back what it prints.",
            schema: BASH,
        }),
        "text_editor" => Some(Described {
            description: "Views, creates and edits text files. `view` shows a file with line numbers or \
                          lists a folder; `create` writes a new file; `str_replace` replaces a text that \
                          occurs exactly once; `insert` puts text after a line.",
            schema: TEXT_EDITOR,
        }),
        "memory" => Some(Described {
            description: "Keeps notes between conversations in files below /memories. Look there before a \
                          task, and write down what will be needed later. `view` shows a file or lists a \
                          folder; `create`, `str_replace`, `insert`, `delete` and `rename` change files.",
            schema: MEMORY,
        }),
        _ => None,
    }
}

const BASH: &str = r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run. Required unless the session is restarted."},"restart":{"type":"boolean","description":"Whether to restart the session instead."}}}"#;

const TEXT_EDITOR: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string","description":"The file or folder."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For `view`: the first and the last line, counted from 1; -1 is the end."},"file_text":{"type":"string","description":"For `create`: the content."},"old_str":{"type":"string","description":"For `str_replace`: the text to replace, which must occur exactly once."},"new_str":{"type":"string","description":"For `str_replace`: the new text."},"insert_line":{"type":"integer","description":"For `insert`: the line after which to insert; 0 is the beginning."},"insert_text":{"type":"string","description":"For `insert`: the text."}},"required":["command","path"]}"#;

const MEMORY: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string","description":"The file or folder, for every command but `rename`."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For `view`: the first and the last line."},"file_text":{"type":"string","description":"For `create`: the content."},"old_str":{"type":"string","description":"For `str_replace`: the text to replace, which must occur exactly once."},"new_str":{"type":"string","description":"For `str_replace`: the new text."},"insert_line":{"type":"integer","description":"For `insert`: the line after which to insert."},"insert_text":{"type":"string","description":"For `insert`: the text."},"old_path":{"type":"string","description":"For `rename`: the present name."},"new_path":{"type":"string","description":"For `rename`: the new name."}},"required":["command"]}"#;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_description_has_a_schema_of_an_object() {
        for kind in ["bash", "text_editor", "memory"] {
            let described = described(kind).unwrap();
            let schema: Value = serde_json::from_str(described.schema).unwrap();
            assert_eq!(schema["type"], "object", "{kind}");
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(schema["properties"][required.as_str().unwrap()].is_object());
            }
        }
    }
}
