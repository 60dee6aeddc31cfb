// Small builders of requests and readers of streams.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

export const user = (content) => ({ role: 'user', content });

/** A user message that the simulated provider answers with exactly this text. */
export const answering = (text) => user(`[[sim text="${text}"]]`);

/** Request options that carry a fresh `x-client-request-id`. */
export function identified() {
  const id = `suite-${randomUUID()}`;
  return { id, options: { headers: { 'x-client-request-id': id } } };
}

/** Puts a whole stream together the way applications do. */
export async function collect(stream) {
  const whole = { content: '', reasoning: '', contentChunks: 0, roles: [], finishReasons: [], usages: [], calls: [] };
  for await (const chunk of stream) {
    if (chunk.usage) whole.usages.push(chunk.usage);
    for (const { delta, finish_reason: finishReason } of chunk.choices) {
      if (delta.role) whole.roles.push(delta.role);
      if (delta.content) {
        whole.content += delta.content;
        whole.contentChunks += 1;
      }
      whole.reasoning += delta.reasoning_content ?? '';
      if (finishReason) whole.finishReasons.push(finishReason);
      for (const fragment of delta.tool_calls ?? []) {
        const call = (whole.calls[fragment.index] ??= { id: '', name: '', arguments: '' });
        call.id += fragment.id ?? '';
        call.name += fragment.function?.name ?? '';
        call.arguments += fragment.function?.arguments ?? '';
      }
    }
  }
  return whole;
}

/** What holds for the usage of every answer, whoever gave it. */
export function checkUsage(usage) {
  assert.ok(usage.prompt_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.ok((usage.prompt_tokens_details?.cached_tokens ?? 0) <= usage.prompt_tokens);
  assert.ok((usage.completion_tokens_details?.reasoning_tokens ?? 0) <= usage.completion_tokens);
  return usage;
}
