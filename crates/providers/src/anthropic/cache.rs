//! How many prompt-cache breakpoints a request may have.
//! <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>

use domain::chat::Conversion;

use super::wire::{Block, CacheControl, Request, Tool};

/// The most breakpoints that one request may have.
const MAX_BREAKPOINTS: usize = 4;

/// Keeps the last of the cache breakpoints where there are more than the provider takes: they cover
/// what stands before them. The top-level `cache_control` is one of them.
pub(super) fn limit_breakpoints(body: &mut Request<'_>, report: &mut Conversion) {
    let reserved = usize::from(body.native.contains_key("cache_control"));
    let tools = body.tools.iter_mut().filter_map(|tool| match tool {
        Tool::Function { cache_control, .. } => Some(cache_control),
        Tool::WebSearch { .. } | Tool::Raw(_) => None,
    });
    let mut breakpoints: Vec<&mut Option<CacheControl>> = tools.collect();
    let turns = body.messages.iter_mut().flat_map(|turn| &mut turn.content);
    for block in body.system.iter_mut().chain(turns) {
        if let Block::ToolResult {
            content,
            cache_control,
            ..
        } = block
        {
            breakpoints.extend(content.iter_mut().filter_map(Block::cache_control_mut));
            breakpoints.push(cache_control);
        } else {
            breakpoints.extend(block.cache_control_mut());
        }
    }
    breakpoints.retain(|breakpoint| breakpoint.is_some());
    let excess = (breakpoints.len() + reserved).saturating_sub(MAX_BREAKPOINTS);
    if excess == 0 {
        return;
    }
    for breakpoint in breakpoints.into_iter().take(excess) {
        *breakpoint = None;
    }
    report.drop(
        "cache_control",
        format!(
            "the provider takes {MAX_BREAKPOINTS} cache breakpoints; the first {excess} were left out"
        ),
    );
}
