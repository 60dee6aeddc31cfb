// The `openai` client: chat completions and responses.

import OpenAI from 'openai';

import { LIMIT, PDF, PERSON, PNG, WEATHER, answer, failure, written } from './face.js';

const ERRORS = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  404: OpenAI.NotFoundError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
  503: OpenAI.InternalServerError,
};
const PNG_URL = `data:image/png;base64,${PNG}`;
const PDF_URL = `data:application/pdf;base64,${PDF}`;
const FUNCTION = { name: 'get_weather', description: 'The weather.', parameters: WEATHER };

const connect = (url, apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
const failed = (error) => failure(error.status, error.headers, error.requestID);

export function openaiChat(url, key) {
  const client = connect(url, key);
  const beside = {
    user: [],
    image: [{ type: 'image_url', image_url: { url: PNG_URL } }],
    document: [{ type: 'file', file: { filename: 'report.pdf', file_data: PDF_URL } }],
  };
  return {
    name: 'openai',
    errors: ERRORS,
    failure: failed,
    request(model, turns, wanted) {
      const messages = written(turns, {
        user: (kind, text) => [{ role: 'user', content: [...beside[kind], { type: 'text', text }] }],
        answered: ({ turn }) => [turn],
        results: (results) => results.map(([call, content]) => ({ role: 'tool', tool_call_id: call.id, content })),
      });
      return {
        model,
        messages,
        max_completion_tokens: LIMIT,
        ...(wanted.tools && { tools: [{ type: 'function', function: FUNCTION }] }),
        ...(wanted.schema && { response_format: { type: 'json_schema', json_schema: { name: 'person', schema: PERSON, strict: true } } }),
        ...(wanted.thoughts && { reasoning_effort: 'low' }),
      };
    },
    async whole(request, options) {
      return read(await client.chat.completions.create(request, options));
    },
    /** The client's own helper puts the pieces together: what it does not know is lost. */
    async streamed(request, { onPiece, ...options }) {
      const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } }, options);
      let pieces = 0;
      let thoughts = '';
      for await (const chunk of stream) {
        onPiece?.();
        const delta = chunk.choices[0]?.delta;
        if (delta?.content) pieces += 1;
        thoughts += delta?.reasoning_content ?? '';
      }
      return { ...read(await stream.finalChatCompletion()), pieces, thoughts };
    },
  };

  function read({ choices: [{ message, finish_reason: finish }], usage }) {
    return answer({
      text: message.content ?? '',
      thoughts: message.reasoning_content ?? '',
      calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) })),
      finish,
      input: usage.prompt_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      output: usage.completion_tokens,
      turn: given(message),
    });
  }
}

/** A message without what the stream's helper has put beside the API's own fields. */
function given({ parsed, tool_calls: calls, ...message }) {
  const own = calls?.map(({ function: { parsed_arguments: _, ...called }, ...call }) => ({ ...call, function: called }));
  return own ? { ...message, tool_calls: own } : message;
}

export function openaiResponses(url, key) {
  const client = connect(url, key);
  const beside = {
    user: [],
    image: [{ type: 'input_image', image_url: PNG_URL, detail: 'auto' }],
    document: [{ type: 'input_file', filename: 'report.pdf', file_data: PDF_URL }],
  };
  return {
    name: 'responses',
    errors: ERRORS,
    failure: failed,
    request(model, turns, wanted) {
      const input = written(turns, {
        user: (kind, text) => [{ role: 'user', content: [...beside[kind], { type: 'input_text', text }] }],
        answered: ({ turn }) => turn,
        results: (results) => results.map(([call, output]) => ({ type: 'function_call_output', call_id: call.id, output })),
      });
      return {
        model,
        input,
        max_output_tokens: LIMIT,
        store: false,
        ...(wanted.tools && { tools: [{ type: 'function', ...FUNCTION, strict: true }] }),
        ...(wanted.schema && { text: { format: { type: 'json_schema', name: 'person', schema: PERSON, strict: true } } }),
        ...(wanted.thoughts && { reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'] }),
      };
    },
    async whole(request, options) {
      return read(await client.responses.create(request, options));
    },
    async streamed(request, { onPiece, ...options }) {
      let pieces = 0;
      let last;
      for await (const event of await client.responses.create({ ...request, stream: true }, options)) {
        onPiece?.();
        if (event.type === 'response.output_text.delta') pieces += 1;
        if (event.type === 'response.completed') last = event.response;
      }
      return { ...read(last), pieces };
    },
  };

  function read({ output, status, usage }) {
    const of = (type) => output.filter((item) => item.type === type);
    return answer({
      text: of('message').flatMap((item) => item.content.map((part) => part.text)).join(''),
      thoughts: of('reasoning').flatMap((item) => item.summary.map((part) => part.text)).join(''),
      calls: of('function_call').map((item) => ({ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) })),
      finish: status,
      input: usage.input_tokens,
      cached: usage.input_tokens_details.cached_tokens,
      output: usage.output_tokens,
      turn: output,
    });
  }
}
