// Chat, streamed and not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { answering, checkUsage, collect, identified, user } from './chats.js';
import { startStack, TARGETS } from './stack.js';

const stack = await startStack();
const client = stack.client();
const MANY_SCRIPTS = 'Grüße, 世界! Ωmega नमस्ते 👩‍👩‍👧‍👦';

for (const model of TARGETS) {
  describe(model, () => {
    test('a plain question gets an answer in the shape of the face', async () => {
      const completion = await client.chat.completions.create({ model, messages: [user('Hello there')] });
      const [choice] = completion.choices;
      assert.equal(completion.object, 'chat.completion');
      assert.equal(choice.finish_reason, 'stop');
      assert.equal(choice.message.role, 'assistant');
      assert.match(choice.message.content, /simulated.*Hello there/s);
      checkUsage(completion.usage);
    });

    test('a conversation with system and developer messages is taken', async () => {
      const messages = [
        { role: 'system', content: 'You are terse.' },
        { role: 'developer', content: 'Answer in English.' },
        user('My name is Ada.'),
        { role: 'assistant', content: 'Noted.' },
        user([{ type: 'text', text: 'What is my name?' }]),
      ];
      const completion = await client.chat.completions.create({ model, messages });
      assert.match(completion.choices[0].message.content, /my name/);
    });

    test('text of many scripts arrives unchanged, streamed in single bytes or not', async () => {
      const whole = await client.chat.completions.create({ model, messages: [answering(MANY_SCRIPTS)] });
      assert.equal(whole.choices[0].message.content, MANY_SCRIPTS);
      const messages = [user(`[[sim text="${MANY_SCRIPTS}" bytes=1]]`)];
      const streamed = await collect(await client.chat.completions.create({ model, messages, stream: true }));
      assert.equal(streamed.content, MANY_SCRIPTS);
    });

    for (const includeUsage of [true, false]) {
      test(`a stream has one role, one finish and ${includeUsage ? 'one' : 'no'} usage`, async () => {
        const messages = [user('Count to three')];
        const whole = await client.chat.completions.create({ model, messages });
        const options = includeUsage ? { stream_options: { include_usage: true } } : {};
        const streamed = await collect(await client.chat.completions.create({ model, messages, stream: true, ...options }));
        assert.equal(streamed.content, whole.choices[0].message.content);
        assert.ok(streamed.contentChunks > 1);
        assert.deepEqual(streamed.roles, ['assistant']);
        assert.deepEqual(streamed.finishReasons, ['stop']);
        assert.equal(streamed.usages.length, includeUsage ? 1 : 0);
        streamed.usages.forEach(checkUsage);
      });
    }

    test('a stream of two thousand events arrives whole', async () => {
      const messages = [user('[[sim words=3000 chunks=2000]]')];
      const asked = { model, messages, max_completion_tokens: 16_000 };
      const whole = await client.chat.completions.create(asked);
      const streamed = await collect(await client.chat.completions.create({ ...asked, stream: true }));
      assert.equal(streamed.contentChunks, 2000);
      assert.equal(streamed.content, whole.choices[0].message.content);
    });

    test("the client's own stream helper puts the answer together", async () => {
      const stream = client.chat.completions.stream({ model, messages: [answering('one two three')] });
      assert.equal(await stream.finalContent(), 'one two three');
    });

    test('the answer and the log count the same', async () => {
      const { id, options } = identified();
      const asked = client.chat.completions.create({ model, messages: [user('Hello')] }, options);
      const { data: completion, response } = await asked.withResponse();
      const logged = await stack.logged(id);
      assert.equal(logged.state, 'settled');
      assert.equal(logged.request_id, response.headers.get('x-request-id'));
      assert.equal(logged.usage.input_tokens, completion.usage.prompt_tokens);
      assert.equal(logged.usage.output_tokens, completion.usage.completion_tokens);
    });

    test('a stream read to its end is settled, one that is left is accounted for', async () => {
      const read = identified();
      await collect(await client.chat.completions.create({ model, messages: [user('Hello')], stream: true }, read.options));
      assert.equal((await stack.logged(read.id)).state, 'settled');

      const left = identified();
      const messages = [user('[[sim chunks=200 words=400 chunk-delay=50]]')];
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }, left.options)) {
        if (chunk.choices[0]?.delta.content) break;
      }
      assert.ok(['cancelled', 'settled', 'estimated'].includes((await stack.logged(left.id)).state));
    });
  });
}

test('the configured routes are listed as models', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('fast'));
});
