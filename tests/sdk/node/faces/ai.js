// The Vercel AI SDK, with each of its providers.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from 'ai';

import { LIMIT, PDF, PERSON, PNG, THOUGHT, WEATHER, answer, failure, written } from './face.js';

globalThis.AI_SDK_LOG_WARNINGS = false;

/** It looks at the model's name to see whether it reasons, and has to be told. */
const EFFORT = { reasoningEffort: 'low', forceReasoning: true, store: false };

export const aiOpenai = (url, key) => {
  const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
  return ai('ai with openai', (model) => provider.responses(model), { openai: { ...EFFORT, reasoningSummary: 'auto' } }, { openai: { store: false } });
};
export const aiOpenaiChat = (url, key) => {
  const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
  return { ...ai('ai with openai, chat', (model) => provider.chat(model), { openai: EFFORT }), showsThoughts: false };
};
export const aiAnthropic = (url, key) => {
  const provider = createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
  const face = ai('ai with anthropic', provider, { anthropic: { thinking: { type: 'enabled', budgetTokens: THOUGHT } } });
  // Anthropic has a status of its own for an overload.
  return { ...face, statuses: { 503: 529 } };
};
export const aiGoogle = (url, key) => {
  const provider = createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key });
  return ai('ai with google', provider, { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: THOUGHT } } });
};
export const aiCompatible = (url, key) => {
  const provider = createOpenAICompatible({
    name: 'trunkline',
    baseURL: `${url}/v1`,
    apiKey: key,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  const face = ai('ai with openai-compatible', provider, { trunkline: { reasoningEffort: 'low' } });
  return {
    ...face,
    /** It calls the limit `max_tokens`, which OpenAI's own models that reason refuse. */
    request(model, turns, wanted) {
      const request = face.request(model, turns, wanted);
      return wanted.thoughts ? { ...request, maxOutputTokens: undefined } : request;
    },
  };
};

function ai(name, named, thinking, always = {}) {
  const file = (mediaType, data) => ({ type: 'file', mediaType, data, filename: 'report.pdf' });
  const beside = { user: [], image: [file('image/png', PNG)], document: [file('application/pdf', PDF)] };
  const errors = Object.fromEntries([400, 401, 404, 429, 500, 503].map((status) => [status, APICallError]));
  return {
    name,
    errors,
    failure: (error) => failure(error.statusCode, new Headers(error.responseHeaders)),
    request(model, turns, wanted) {
      const messages = written(turns, {
        user: (kind, text) => [{ role: 'user', content: [...beside[kind], { type: 'text', text }] }],
        answered: ({ turn }) => turn,
        results: (results) => {
          const content = results.map(([{ id, name: toolName }, value]) => ({
            type: 'tool-result',
            toolCallId: id,
            toolName,
            output: { type: 'text', value },
          }));
          return [{ role: 'tool', content }];
        },
      });
      return {
        model: named(model),
        messages,
        maxRetries: 0,
        maxOutputTokens: LIMIT,
        providerOptions: wanted.thoughts ? thinking : always,
        ...(wanted.tools && { tools: { get_weather: tool({ description: 'The weather.', inputSchema: jsonSchema(WEATHER) }) } }),
        ...(wanted.schema && { output: Output.object({ schema: jsonSchema(PERSON), name: 'person' }) }),
      };
    },
    async whole(request, options) {
      return read(await generateText({ ...request, ...optioned(options) }));
    },
    async streamed(request, { onPiece, ...options }) {
      const result = streamText({ ...request, ...optioned(options), onError: () => {} });
      let pieces = 0;
      for await (const part of result.fullStream) {
        if (part.type === 'error') throw part.error;
        onPiece?.();
        if (part.type === 'text-delta') pieces += 1;
      }
      const fields = ['text', 'reasoningText', 'toolCalls', 'finishReason', 'usage', 'response'];
      const values = await Promise.all(fields.map((field) => result[field]));
      return { ...read(Object.fromEntries(fields.map((field, place) => [field, values[place]]))), pieces };
    },
  };

  function optioned({ headers, signal }) {
    return { headers, abortSignal: signal };
  }

  function read({ text, reasoningText, toolCalls, finishReason, usage, response }) {
    return answer({
      text,
      thoughts: reasoningText ?? '',
      calls: toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, input: call.input })),
      finish: finishReason,
      input: usage.inputTokens,
      cached: usage.inputTokenDetails.cacheReadTokens ?? 0,
      output: usage.outputTokens,
      turn: response.messages,
    });
  }
}
