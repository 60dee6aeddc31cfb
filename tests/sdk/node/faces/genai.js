// The `@google/genai` client.

import { ApiError, GoogleGenAI } from '@google/genai';

import { LIMIT, PDF, PERSON, PNG, THOUGHT, WEATHER, answer, failure, written } from './face.js';

export function genai(url, key) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url, timeout: 30_000, retryOptions: { attempts: 1 } } });
  const inline = (mimeType, data) => ({ inlineData: { mimeType, data } });
  const beside = { user: [], image: [inline('image/png', PNG)], document: [inline('application/pdf', PDF)] };
  return {
    name: 'genai',
    errors: { 400: ApiError, 401: ApiError, 404: ApiError, 429: ApiError, 500: ApiError, 503: ApiError },
    // The client keeps nothing of a failed response but its status and its words.
    hidesFields: true,
    failure: (error) => failure(error.status),
    request(model, turns, wanted) {
      const contents = written(turns, {
        user: (kind, text) => [{ role: 'user', parts: [...beside[kind], { text }] }],
        answered: ({ turn }) => [turn],
        results: (results) => {
          const parts = results.map(([{ id, name }, output]) => ({ functionResponse: { id, name, response: { output } } }));
          return [{ role: 'user', parts }];
        },
      });
      const tool = { functionDeclarations: [{ name: 'get_weather', description: 'The weather.', parametersJsonSchema: WEATHER }] };
      const config = {
        maxOutputTokens: LIMIT,
        ...(wanted.tools && { tools: [tool] }),
        ...(wanted.schema && { responseMimeType: 'application/json', responseJsonSchema: PERSON }),
        ...(wanted.thoughts && { thinkingConfig: { includeThoughts: true, thinkingBudget: THOUGHT } }),
      };
      return { model, contents, config };
    },
    async whole(request, options) {
      return read([await client.models.generateContent(optioned(request, options))]);
    },
    async streamed(request, { onPiece, ...options }) {
      const chunks = [];
      for await (const chunk of await client.models.generateContentStream(optioned(request, options))) {
        onPiece?.();
        chunks.push(chunk);
      }
      return read(chunks);
    },
  };

  function optioned(request, { headers, signal }) {
    return { ...request, config: { ...request.config, httpOptions: { headers }, abortSignal: signal } };
  }

  function read(chunks) {
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    const texts = (thought) => parts.filter((part) => part.text && Boolean(part.thought) === thought).map((part) => part.text);
    const { usageMetadata: usage } = chunks.findLast((chunk) => chunk.usageMetadata);
    return answer({
      text: texts(false).join(''),
      thoughts: texts(true).join(''),
      calls: parts.filter((part) => part.functionCall).map(({ functionCall: { id, name, args } }) => ({ id, name, input: args })),
      finish: chunks.map((chunk) => chunk.candidates?.[0]?.finishReason).findLast(Boolean),
      input: usage.promptTokenCount,
      cached: usage.cachedContentTokenCount ?? 0,
      output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
      pieces: texts(false).length,
      turn: { role: 'model', parts },
    });
  }
}
