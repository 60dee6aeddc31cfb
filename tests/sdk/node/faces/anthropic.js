// The `@anthropic-ai/sdk` client.

import SDK from '@anthropic-ai/sdk';

import { LIMIT, PDF, PERSON, PNG, THOUGHT, WEATHER, answer, failure, written } from './face.js';

export function anthropic(url, key) {
  const client = new SDK({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30_000 });
  const block = (type, mediaType, data) => ({ type, source: { type: 'base64', media_type: mediaType, data } });
  const beside = { user: [], image: [block('image', 'image/png', PNG)], document: [block('document', 'application/pdf', PDF)] };
  return {
    name: 'anthropic',
    errors: {
      400: SDK.BadRequestError,
      401: SDK.AuthenticationError,
      404: SDK.NotFoundError,
      429: SDK.RateLimitError,
      500: SDK.InternalServerError,
      503: SDK.InternalServerError,
    },
    // Anthropic has a status of its own for an overload.
    statuses: { 503: 529 },
    failure: (error) => failure(error.status, error.headers, error.requestID),
    request(model, turns, wanted) {
      const messages = written(turns, {
        user: (kind, text) => [{ role: 'user', content: [...beside[kind], { type: 'text', text }] }],
        answered: ({ turn }) => [{ role: 'assistant', content: turn }],
        results: (results) => [
          { role: 'user', content: results.map(([call, content]) => ({ type: 'tool_result', tool_use_id: call.id, content })) },
        ],
      });
      return {
        model,
        messages,
        max_tokens: LIMIT,
        ...(wanted.tools && { tools: [{ name: 'get_weather', description: 'The weather.', input_schema: WEATHER }] }),
        ...(wanted.schema && { output_config: { format: { type: 'json_schema', schema: PERSON } } }),
        ...(wanted.thoughts && { thinking: { type: 'enabled', budget_tokens: THOUGHT } }),
      };
    },
    async whole(request, options) {
      return read(await client.messages.create(request, options));
    },
    async streamed(request, { onPiece, ...options }) {
      const stream = client.messages.stream(request, options);
      let pieces = 0;
      for await (const event of stream) {
        onPiece?.();
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') pieces += 1;
      }
      return { ...read(await stream.finalMessage()), pieces };
    },
  };

  function read({ content, stop_reason: finish, usage }) {
    const said = (type, field) => content.filter((block) => block.type === type).map((block) => block[field]).join('');
    const cached = usage.cache_read_input_tokens ?? 0;
    return answer({
      text: said('text', 'text'),
      thoughts: said('thinking', 'thinking'),
      calls: content.filter((block) => block.type === 'tool_use').map(({ id, name, input }) => ({ id, name, input })),
      finish,
      input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      cached,
      output: usage.output_tokens,
      turn: content,
    });
  }
}
