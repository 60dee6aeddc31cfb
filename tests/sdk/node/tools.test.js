// Tools, structured output, pictures and documents, reasoning.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checkUsage, collect, user } from './chats.js';
import { startStack, TARGETS } from './stack.js';

const stack = await startStack();
const client = stack.client();

const tool = (name, properties) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false } },
});
const TOOLS = [tool('get_weather', { city: { type: 'string' } }), tool('get_time', { zone: { type: 'string' } })];
const PING = { type: 'function', function: { name: 'ping' } };
const PICTURE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const CITY = {
  type: 'object',
  properties: { name: { type: 'string' }, population: { type: 'integer' } },
  required: ['name', 'population'],
  additionalProperties: false,
};

for (const model of TARGETS) {
  describe(model, () => {
    test('parallel calls are made and their results are answered', async () => {
      const messages = [user('Use get_weather and get_time')];
      const first = await client.chat.completions.create({ model, messages, tools: TOOLS });
      const [choice] = first.choices;
      assert.equal(choice.finish_reason, 'tool_calls');
      assert.deepEqual(choice.message.tool_calls.map((call) => call.function.name).sort(), ['get_time', 'get_weather']);
      for (const call of choice.message.tool_calls) JSON.parse(call.function.arguments);

      const results = choice.message.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: 'result 42' }));
      const second = await client.chat.completions.create({ model, messages: [...messages, choice.message, ...results], tools: TOOLS });
      assert.match(second.choices[0].message.content, /result 42/);
    });

    test('streamed fragments make whole calls', async () => {
      const messages = [user('Use get_weather and get_time [[sim bytes=5]]')];
      const streamed = await collect(await client.chat.completions.create({ model, messages, tools: TOOLS, stream: true }));
      assert.deepEqual(streamed.calls.map((call) => call.name).sort(), ['get_time', 'get_weather']);
      for (const call of streamed.calls) assert.equal(typeof JSON.parse(call.arguments), 'object');
      assert.equal(new Set(streamed.calls.map((call) => call.id)).size, 2);
      assert.deepEqual(streamed.finishReasons, ['tool_calls']);
    });

    test('a streamed call without arguments is an empty object', async () => {
      const asked = { model, messages: [user('Now')], tools: [PING], tool_choice: 'required', stream: true };
      const streamed = await collect(await client.chat.completions.create(asked));
      assert.deepEqual(JSON.parse(streamed.calls[0].arguments), {});
    });

    test("the client's own tool runner runs to the final answer", async () => {
      const asked = [];
      const runnable = {
        type: 'function',
        function: {
          ...TOOLS[0].function,
          parse: JSON.parse,
          function: ({ city }) => {
            asked.push(city);
            return 'it is cold';
          },
        },
      };
      const runner = client.chat.completions.runTools({ model, messages: [user('Use get_weather for Oslo')], tools: [runnable] });
      assert.match(await runner.finalContent(), /it is cold/);
      assert.equal(asked.length, 1);
      assert.equal(typeof asked[0], 'string');
    });

    test('an answer follows its schema, streamed or not', async () => {
      const format = { type: 'json_schema', json_schema: { name: 'city', strict: true, schema: CITY } };
      const asked = { model, messages: [user('Describe Oslo')], response_format: format };
      const parsed = (await client.chat.completions.parse(asked)).choices[0].message.parsed;
      assert.deepEqual(Object.keys(parsed).sort(), ['name', 'population']);
      const streamed = await collect(await client.chat.completions.create({ ...asked, stream: true }));
      assert.deepEqual(Object.keys(JSON.parse(streamed.content)).sort(), ['name', 'population']);
    });

    test('a picture is seen', async () => {
      const content = [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: PICTURE } },
      ];
      const completion = await client.chat.completions.create({ model, messages: [user(content)] });
      assert.match(completion.choices[0].message.content, /What is this/);
    });

    test('a document is read', async () => {
      const data = Buffer.from('%PDF-1.4\ntrailer << /Root 1 0 R >>\n%%EOF\n').toString('base64');
      const content = [
        { type: 'file', file: { filename: 'report.pdf', file_data: `data:application/pdf;base64,${data}` } },
        { type: 'text', text: 'Summarise this' },
      ];
      const completion = await client.chat.completions.create({ model, messages: [user(content)] });
      assert.match(completion.choices[0].message.content, /Summarise this/);
    });
  });
}

for (const model of ['anthropic/claude-sonnet-4-5', 'google/gemini-2.5-pro']) {
  test(`${model}: reasoning is told apart from the answer and its turn is taken back`, async () => {
    const asked = { model, tools: TOOLS, reasoning_effort: 'medium' };
    const messages = [user('Use get_weather for Oslo')];
    const first = await client.chat.completions.create({ ...asked, messages });
    const { message } = first.choices[0];
    assert.ok(message.reasoning_content);
    assert.ok(checkUsage(first.usage).completion_tokens_details.reasoning_tokens > 0);
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'cold' };
    const second = await client.chat.completions.create({ ...asked, messages: [...messages, message, result] });
    assert.match(second.choices[0].message.content, /cold/);
  });
}
