//! The structures of a request, as the service's own model has them.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use super::shape::Kind::{
    self, Any, Blob, Bool, Int, List, Name, Object, Share, Struct, Text, Texts, Union, Word,
};
use super::shape::Structure;

const ANY_TEXT: Kind = Text(0, usize::MAX);
const SOME_TEXT: Kind = Text(1, usize::MAX);
const TOOL_NAME: Kind = Word(b"_-", "[a-zA-Z0-9_-]+");
const TOOL_USE_ID: Kind = Word(b"_.:-", "[a-zA-Z0-9_.:-]+");
const MANY: usize = usize::MAX;

pub(super) static REQUEST: Structure = Structure(&[
    ("messages", List(&Struct(&MESSAGE), 0, MANY), false),
    ("system", List(&Union(&SYSTEM), 0, MANY), false),
    ("inferenceConfig", Struct(&INFERENCE), false),
    ("toolConfig", Struct(&TOOLS), false),
    ("guardrailConfig", Struct(&GUARDRAIL), false),
    ("additionalModelRequestFields", Object, false),
    (
        "additionalModelResponseFieldPaths",
        List(&Text(1, 256), 0, 10),
        false,
    ),
    ("promptVariables", Object, false),
    ("requestMetadata", Texts, false),
    ("performanceConfig", Struct(&PERFORMANCE), false),
    ("serviceTier", Struct(&TIER), false),
    ("outputConfig", Struct(&OUTPUT), false),
]);

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>
pub(super) static COUNT: Structure = Structure(&[("input", Union(&COUNTED), true)]);

static COUNTED: Structure = Structure(&[
    ("invokeModel", Struct(&INVOCATION), false),
    ("converse", Struct(&CONVERSATION), false),
]);

static INVOCATION: Structure = Structure(&[("body", Blob, true)]);

static CONVERSATION: Structure = Structure(&[
    ("messages", List(&Struct(&MESSAGE), 0, MANY), false),
    ("system", List(&Union(&SYSTEM), 0, MANY), false),
    ("toolConfig", Struct(&TOOLS), false),
    ("additionalModelRequestFields", Object, false),
]);

static MESSAGE: Structure = Structure(&[
    ("role", Name(&["user", "assistant", "system"]), true),
    ("content", List(&Union(&CONTENT), 0, MANY), true),
]);

static CONTENT: Structure = Structure(&[
    ("text", ANY_TEXT, false),
    ("image", Struct(&IMAGE), false),
    ("document", Struct(&DOCUMENT), false),
    ("video", Struct(&VIDEO), false),
    ("audio", Struct(&AUDIO), false),
    ("toolUse", Struct(&TOOL_USE), false),
    ("toolResult", Struct(&TOOL_RESULT), false),
    ("guardContent", Union(&GUARD), false),
    ("cachePoint", Struct(&CACHE_POINT), false),
    ("reasoningContent", Union(&REASONING), false),
    ("citationsContent", Struct(&CITATIONS), false),
    ("searchResult", Struct(&SEARCH_RESULT), false),
    ("toolAddition", Object, false),
    ("toolRemoval", Object, false),
]);

static IMAGE: Structure = Structure(&[
    ("format", Name(&["png", "jpeg", "gif", "webp"]), true),
    ("source", Union(&BYTES), true),
    ("error", Object, false),
]);

static BYTES: Structure = Structure(&[("bytes", Blob, false), ("s3Location", Struct(&S3), false)]);

static S3: Structure = Structure(&[
    ("uri", Text(1, 1024), true),
    ("bucketOwner", Text(12, 12), false),
]);

static DOCUMENT: Structure = Structure(&[
    (
        "format",
        Name(&[
            "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md",
        ]),
        false,
    ),
    ("name", Text(1, 200), true),
    ("source", Union(&DOCUMENT_SOURCE), true),
    ("context", ANY_TEXT, false),
    ("citations", Struct(&CITATIONS_CONFIG), false),
]);

static DOCUMENT_SOURCE: Structure = Structure(&[
    ("bytes", Blob, false),
    ("s3Location", Struct(&S3), false),
    ("text", ANY_TEXT, false),
    ("content", List(&Union(&TEXT_ONLY), 0, MANY), false),
]);

static TEXT_ONLY: Structure = Structure(&[("text", ANY_TEXT, false)]);

static CITATIONS_CONFIG: Structure = Structure(&[("enabled", Bool, true)]);

static VIDEO: Structure = Structure(&[
    (
        "format",
        Name(&[
            "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp",
        ]),
        true,
    ),
    ("source", Union(&BYTES), true),
]);

static AUDIO: Structure = Structure(&[
    (
        "format",
        Name(&[
            "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a",
            "mpeg", "mpga", "pcm", "webm",
        ]),
        true,
    ),
    ("source", Union(&BYTES), true),
]);

static TOOL_USE: Structure = Structure(&[
    ("toolUseId", TOOL_USE_ID, true),
    ("name", TOOL_NAME, true),
    ("input", Any, true),
    ("type", Name(&["server_tool_use"]), false),
]);

static TOOL_RESULT: Structure = Structure(&[
    ("toolUseId", TOOL_USE_ID, true),
    ("content", List(&Union(&RESULT_CONTENT), 0, MANY), true),
    ("status", Name(&["success", "error"]), false),
    ("type", ANY_TEXT, false),
]);

static RESULT_CONTENT: Structure = Structure(&[
    ("json", Any, false),
    ("text", ANY_TEXT, false),
    ("image", Struct(&IMAGE), false),
    ("document", Struct(&DOCUMENT), false),
    ("video", Struct(&VIDEO), false),
    ("searchResult", Struct(&SEARCH_RESULT), false),
]);

static SEARCH_RESULT: Structure = Structure(&[
    ("source", ANY_TEXT, true),
    ("title", ANY_TEXT, true),
    ("content", List(&Struct(&TEXT_ONLY), 0, MANY), true),
    ("citations", Struct(&CITATIONS_CONFIG), false),
]);

static GUARD: Structure = Structure(&[("text", Struct(&GUARD_TEXT), false), ("image", Any, false)]);

static GUARD_TEXT: Structure = Structure(&[
    ("text", ANY_TEXT, true),
    (
        "qualifiers",
        List(
            &Name(&["grounding_source", "query", "guard_content"]),
            0,
            MANY,
        ),
        false,
    ),
]);

static CACHE_POINT: Structure = Structure(&[
    ("type", Name(&["default"]), true),
    ("ttl", Name(&["5m", "1h"]), false),
]);

static REASONING: Structure = Structure(&[
    ("reasoningText", Struct(&REASONING_TEXT), false),
    ("redactedContent", Blob, false),
]);

static REASONING_TEXT: Structure =
    Structure(&[("text", ANY_TEXT, true), ("signature", ANY_TEXT, false)]);

static CITATIONS: Structure = Structure(&[
    ("content", List(&Union(&TEXT_ONLY), 0, MANY), false),
    ("citations", List(&Object, 0, MANY), false),
]);

static SYSTEM: Structure = Structure(&[
    ("text", SOME_TEXT, false),
    ("guardContent", Union(&GUARD), false),
    ("cachePoint", Struct(&CACHE_POINT), false),
]);

static INFERENCE: Structure = Structure(&[
    ("maxTokens", Int(1), false),
    ("temperature", Share, false),
    ("topP", Share, false),
    ("stopSequences", List(&SOME_TEXT, 0, 2500), false),
]);

static TOOLS: Structure = Structure(&[
    ("tools", List(&Union(&TOOL), 1, MANY), true),
    ("toolChoice", Union(&TOOL_CHOICE), false),
]);

static TOOL: Structure = Structure(&[
    ("toolSpec", Struct(&TOOL_SPEC), false),
    ("systemTool", Struct(&NAMED_TOOL), false),
    ("cachePoint", Struct(&CACHE_POINT), false),
]);

static TOOL_SPEC: Structure = Structure(&[
    ("name", TOOL_NAME, true),
    ("description", SOME_TEXT, false),
    ("inputSchema", Union(&INPUT_SCHEMA), true),
    ("strict", Bool, false),
]);

static INPUT_SCHEMA: Structure = Structure(&[("json", Object, false)]);

static NAMED_TOOL: Structure = Structure(&[("name", TOOL_NAME, true)]);

static TOOL_CHOICE: Structure = Structure(&[
    ("auto", Object, false),
    ("any", Object, false),
    ("tool", Struct(&NAMED_TOOL), false),
]);

static GUARDRAIL: Structure = Structure(&[
    ("guardrailIdentifier", Text(0, 2048), false),
    ("guardrailVersion", ANY_TEXT, false),
    (
        "trace",
        Name(&["enabled", "disabled", "enabled_full"]),
        false,
    ),
    ("streamProcessingMode", Name(&["sync", "async"]), false),
]);

static PERFORMANCE: Structure = Structure(&[("latency", Name(&["standard", "optimized"]), false)]);

static TIER: Structure = Structure(&[(
    "type",
    Name(&["priority", "default", "flex", "reserved"]),
    true,
)]);

static OUTPUT: Structure = Structure(&[
    ("textFormat", Struct(&TEXT_FORMAT), false),
    ("effort", Text(0, 16), false),
]);

static TEXT_FORMAT: Structure = Structure(&[
    ("type", Name(&["json_schema"]), true),
    ("structure", Union(&FORMAT_STRUCTURE), true),
]);

static FORMAT_STRUCTURE: Structure = Structure(&[("jsonSchema", Struct(&JSON_SCHEMA), false)]);

static JSON_SCHEMA: Structure = Structure(&[
    ("schema", ANY_TEXT, true),
    ("name", ANY_TEXT, false),
    ("description", ANY_TEXT, false),
]);
