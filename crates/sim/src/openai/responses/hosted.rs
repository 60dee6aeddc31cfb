//! The items of OpenAI's own tools: what they must say, and that an output follows its call.

use super::super::check::{plain, required, text};
use crate::node::Node;
use crate::vendor::Failure;

/// What items must say beside their type.
const NEEDS: [(&str, &[&str]); 17] = [
    ("additional_tools", &["role", "tools"]),
    ("apply_patch_call", &["call_id", "operation", "status"]),
    ("apply_patch_call_output", &["call_id", "status"]),
    ("code_interpreter_call", &["id", "container_id", "status"]),
    ("compaction", &["encrypted_content"]),
    ("computer_call", &["id", "call_id", "status"]),
    ("computer_call_output", &["call_id", "output"]),
    ("file_search_call", &["id", "queries", "status"]),
    ("image_generation_call", &["id", "result", "status"]),
    ("local_shell_call", &["id", "action", "call_id", "status"]),
    ("local_shell_call_output", &["id", "output"]),
    ("mcp_approval_response", &["approval_request_id", "approve"]),
    ("mcp_call", &["id", "arguments", "name", "server_label"]),
    ("mcp_list_tools", &["id", "server_label", "tools"]),
    ("shell_call", &["action", "call_id"]),
    ("shell_call_output", &["call_id", "output"]),
    ("web_search_call", &["id", "status"]),
];
/// Calls of hosted tools that the caller runs, and the items that answer them.
const PAIRS: [(&str, &str); 4] = [
    ("apply_patch_call", "apply_patch_call_output"),
    ("computer_call", "computer_call_output"),
    ("local_shell_call", "local_shell_call_output"),
    ("shell_call", "shell_call_output"),
];

/// The calls so far that the caller runs for OpenAI, with their ids.
#[derive(Default)]
pub(super) struct HostedCalls(Vec<(&'static str, String)>);

impl HostedCalls {
    /// Reads one item of such a tool.
    pub(super) fn read(&mut self, item: &Node<'_, '_>, kind: &str) -> Result<(), Failure> {
        if let Some(id) = item.present("id") {
            text(&id)?;
        }
        let needs = NEEDS.iter().find(|(needy, _)| *needy == kind);
        for key in needs.map(|(_, keys)| *keys).unwrap_or_default() {
            required(item, key)?;
        }
        if let Some((call, _)) = PAIRS.iter().find(|(call, _)| *call == kind) {
            let id = required(item, "call_id")?;
            self.0.push((call, text(&id)?.to_owned()));
        }
        if let Some((call, answered_by)) = PAIRS.iter().find(|(_, output)| *output == kind) {
            // The local shell's output says the call's id as its own.
            let key = if kind == "local_shell_call_output" {
                "id"
            } else {
                "call_id"
            };
            let id = required(item, key)?;
            let id = text(&id)?;
            if !self
                .0
                .iter()
                .any(|(known, known_id)| known == call && known_id == id)
            {
                let what = answered_by.replace('_', " ");
                let sentence = format!("No tool call found for {what} with call_id {id}.");
                return Err(plain(sentence).at("input"));
            }
        }
        Ok(())
    }
}
