// The `cohere-ai` client, which has its own names for the fields of the wire.

import { Cohere, CohereClientV2, CohereError } from 'cohere-ai';

import { LIMIT, PERSON, PNG, THOUGHT, WEATHER, answer, failure, written } from './face.js';

export function cohere(url, key) {
  const client = new CohereClientV2({ token: key, environment: url, maxRetries: 0, timeoutInSeconds: 30 });
  const picture = { type: 'image_url', imageUrl: { url: `data:image/png;base64,${PNG}` } };
  return {
    name: 'cohere',
    errors: {
      400: Cohere.BadRequestError,
      401: Cohere.UnauthorizedError,
      404: Cohere.NotFoundError,
      429: Cohere.TooManyRequestsError,
      // It has a class for 500, and none for a bad gateway.
      500: CohereError,
      503: Cohere.ServiceUnavailableError,
    },
    failure: (error) => failure(error.statusCode, error.rawResponse?.headers),
    request(model, turns, wanted) {
      const messages = written(turns, {
        user: (kind, text) => [{ role: 'user', content: kind === 'image' ? [picture, { type: 'text', text }] : text }],
        answered: ({ turn }) => [turn],
        results: (results) => results.map(([call, content]) => ({ role: 'tool', toolCallId: call.id, content })),
      });
      const reads = turns.some(([kind]) => kind === 'document');
      const weather = { type: 'function', function: { name: 'get_weather', description: 'The weather.', parameters: WEATHER } };
      return {
        model,
        messages,
        maxTokens: LIMIT,
        // Cohere's documents are words, beside the conversation.
        ...(reads && { documents: [{ id: 'report', data: { title: 'Report', text: 'It rained in Oslo.' } }] }),
        ...(wanted.tools && { tools: [weather] }),
        ...(wanted.schema && { responseFormat: { type: 'json_object', jsonSchema: PERSON } }),
        ...(wanted.thoughts && { thinking: { type: 'enabled', tokenBudget: THOUGHT } }),
      };
    },
    async whole(request, options) {
      const { message, finishReason: finish, usage } = await client.chat(request, optioned(options));
      const said = (type, field) => (message.content ?? []).filter((block) => block.type === type).map((block) => block[field]).join('');
      const calls = (message.toolCalls ?? []).map(read);
      return answer({ text: said('text', 'text'), thoughts: said('thinking', 'thinking'), calls, finish, turn: message, ...counted(usage) });
    },
    async streamed(request, { onPiece, ...options }) {
      const found = answer();
      const begun = [];
      for await (const { type, delta } of await client.chatStream(request, optioned(options))) {
        onPiece?.();
        if (type === 'content-delta') {
          const { text, thinking } = delta.message.content;
          found.text += text ?? '';
          found.thoughts += thinking ?? '';
          if (text) found.pieces += 1;
        } else if (type === 'tool-call-start') {
          begun.push(structuredClone(delta.message.toolCalls));
        } else if (type === 'tool-call-delta') {
          begun.at(-1).function.arguments += delta.message.toolCalls.function.arguments ?? '';
        } else if (type === 'message-end') {
          Object.assign(found, { finish: delta.finishReason, ...counted(delta.usage) });
        }
      }
      const turn = { role: 'assistant', ...(begun.length ? { toolCalls: begun } : { content: found.text }) };
      return { ...found, calls: begun.map(read), turn };
    },
  };

  function optioned({ headers, signal }) {
    return { headers, abortSignal: signal };
  }

  function read({ id, function: { name, arguments: input } }) {
    return { id, name, input: JSON.parse(input) };
  }

  function counted({ tokens, cachedTokens }) {
    return { input: tokens.inputTokens, output: tokens.outputTokens, cached: cachedTokens ?? 0 };
  }
}
