// The other vendors' clients against every provider: the same conversation in each one's own words.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { GoogleGenAI } from '@google/genai';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

import { FIRST_KEY, startStack } from './stack.js';

const TARGETS = [
  'openai/gpt',
  'anthropic/claude',
  'google/gemini',
  'cohere/command-a',
  'bedrock/amazon.nova-pro-v1:0',
  'bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0',
  'azure/gpt',
  'vertex/gemini',
  'vertex/claude',
];
const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const MANY_SCRIPTS = 'Grüße, 世界! Ωmega नमस्ते 👩‍👩‍👧‍👦';

const stack = await startStack();

/** A client, reduced to: ask a text and get one; ask with a tool, answer its calls, and get a text. */
const FACES = {
  anthropic: {
    client: new Anthropic({ baseURL: stack.gatewayUrl, apiKey: FIRST_KEY, maxRetries: 0, timeout: 30_000 }),
    async text(model, content, stream) {
      const asked = { model, max_tokens: 500, messages: [{ role: 'user', content }] };
      const message = stream ? await this.client.messages.stream(asked).finalMessage() : await this.client.messages.create(asked);
      assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
      return message.content.map((block) => block.text).join('');
    },
    async tool(model, content) {
      const tools = [{ name: 'get_weather', description: 'The weather.', input_schema: WEATHER }];
      const messages = [{ role: 'user', content }];
      const first = await this.client.messages.stream({ model, max_tokens: 500, messages, tools }).finalMessage();
      const calls = first.content.filter((block) => block.type === 'tool_use');
      assert.equal(first.stop_reason, 'tool_use');
      messages.push({ role: 'assistant', content: first.content });
      messages.push({ role: 'user', content: calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: 'rain' })) });
      const second = await this.client.messages.create({ model, max_tokens: 500, messages, tools });
      return { calls: calls.map((call) => call.input), text: second.content.map((block) => block.text).join('') };
    },
    refused: Anthropic.RateLimitError,
  },
  genai: {
    client: new GoogleGenAI({ apiKey: FIRST_KEY, httpOptions: { baseUrl: stack.gatewayUrl, timeout: 30_000 } }),
    async text(model, contents, stream) {
      if (!stream) return (await this.client.models.generateContent({ model, contents })).text;
      let text = '';
      for await (const chunk of await this.client.models.generateContentStream({ model, contents })) text += chunk.text ?? '';
      return text;
    },
    async tool(model, text) {
      const config = { tools: [{ functionDeclarations: [{ name: 'get_weather', description: 'The weather.', parametersJsonSchema: WEATHER }] }] };
      const contents = [{ role: 'user', parts: [{ text }] }];
      const first = await this.client.models.generateContent({ model, contents, config });
      contents.push(first.candidates[0].content);
      const parts = first.functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: 'rain' } } }));
      contents.push({ role: 'user', parts });
      const second = await this.client.models.generateContent({ model, contents, config });
      return { calls: first.functionCalls.map((call) => call.args), text: second.text };
    },
  },
  'ai with openai': aiSdk((model) => createOpenAI({ baseURL: `${stack.gatewayUrl}/v1`, apiKey: FIRST_KEY })(model)),
  'ai with anthropic': aiSdk((model) => createAnthropic({ baseURL: `${stack.gatewayUrl}/v1`, apiKey: FIRST_KEY })(model)),
  'ai with openai-compatible': aiSdk((model) =>
    createOpenAICompatible({ name: 'trunkline', baseURL: `${stack.gatewayUrl}/v1`, apiKey: FIRST_KEY, includeUsage: true })(model),
  ),
};

function aiSdk(named) {
  return {
    async text(model, prompt, stream) {
      const asked = { model: named(model), prompt, maxRetries: 0, maxOutputTokens: 500 };
      if (stream) return await streamText(asked).text;
      const answer = await generateText(asked);
      assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
      return answer.text;
    },
    async tool(model, prompt) {
      const calls = [];
      const execute = async (input) => calls.push(input) && 'rain';
      const tools = { get_weather: tool({ description: 'The weather.', inputSchema: jsonSchema(WEATHER), execute }) };
      const asked = { model: named(model), prompt, tools, maxRetries: 0, maxOutputTokens: 500, stopWhen: stepCountIs(2) };
      return { text: (await generateText(asked)).text, calls };
    },
  };
}

for (const [name, face] of Object.entries(FACES)) {
  for (const model of TARGETS) {
    describe(`${name}, ${model}`, () => {
      for (const stream of [false, true]) {
        test(`text of many scripts arrives unchanged, ${stream ? 'streamed' : 'whole'}`, async () => {
          assert.equal(await face.text(model, `[[sim text="${MANY_SCRIPTS}"]]`, stream), MANY_SCRIPTS);
        });
      }

      test('a tool is called and its result is heard', async () => {
        const { calls, text } = await face.tool(model, 'Use get_weather for Oslo');
        assert.equal(calls.length, 1);
        assert.equal(typeof calls[0].city, 'string');
        assert.ok(text.length > 0);
      });

      test('parallel calls and their results find each other', async () => {
        const { calls, text } = await face.tool(model, 'Use get_weather, get_weather and get_weather again');
        assert.equal(calls.length, 3);
        assert.ok(text.length > 0);
      });

      if (face.refused) {
        test('a busy provider raises the client\'s own error', async () => {
          await assert.rejects(face.text(model, '[[sim status=429 retry-after=60]]'), face.refused);
        });
      }
    });
  }
}
