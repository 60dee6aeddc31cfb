//! Prompt-cache breakpoints, which are blocks of their own.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>

use domain::chat::{CacheControl, Conversion};

use super::model::Family;
use super::wire::{Block, CachePoint, Request, Tool};

/// The most breakpoints that one request may have.
const MAX_BREAKPOINTS: usize = 4;

/// The breakpoint, where the model takes one; others answer it with an error.
pub(super) fn point(
    cache: CacheControl,
    family: Family,
    path: String,
    report: &mut Conversion,
) -> Option<CachePoint> {
    if !family.caches_prompts() {
        report.drop(path, "this model takes no cache breakpoints");
        return None;
    }
    if cache == CacheControl::OneHour && !family.caches_for_an_hour() {
        report.change(
            path,
            "kept for five minutes, the longest that this model takes",
        );
        return Some(CacheControl::FiveMinutes.into());
    }
    Some(cache.into())
}

/// Keeps the last of the breakpoints where there are more than the provider takes: they cover what
/// stands before them.
pub(super) fn limit_breakpoints(body: &mut Request<'_>, report: &mut Conversion) {
    let tools = body.tool_config.iter().flat_map(|config| &config.tools);
    let turns = body.messages.iter().flat_map(|turn| &turn.content);
    let blocks = body.system.iter().chain(turns);
    let count = tools
        .filter(|tool| matches!(tool, Tool::CachePoint(_)))
        .count()
        + blocks.filter(|block| is_point(block)).count();
    let excess = count.saturating_sub(MAX_BREAKPOINTS);
    if excess == 0 {
        return;
    }
    let mut left = excess;
    let mut keep = |is_point: bool| {
        let goes = is_point && left > 0;
        left -= usize::from(goes);
        !goes
    };
    if let Some(config) = &mut body.tool_config {
        config
            .tools
            .retain(|tool| keep(matches!(tool, Tool::CachePoint(_))));
    }
    body.system.retain(|block| keep(is_point(block)));
    for turn in &mut body.messages {
        turn.content.retain(|block| keep(is_point(block)));
    }
    report.drop(
        "cache_control",
        format!(
            "the provider takes {MAX_BREAKPOINTS} cache breakpoints; the first {excess} were left out"
        ),
    );
}

fn is_point(block: &Block<'_>) -> bool {
    matches!(block, Block::CachePoint(_))
}
