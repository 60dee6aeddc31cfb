// Failures: the client throws the class that belongs to the cause.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import OpenAI from 'openai';

import { collect, identified, user } from './chats.js';
import { startStack, TARGETS } from './stack.js';

const stack = await startStack();
const client = stack.client();
const says = (directive) => [user(`[[sim ${directive}]] Hello`)];

beforeEach(() => stack.forgetCalls());

for (const route of ['once-openai', 'once-anthropic', 'once-google']) {
  describe(route, () => {
    for (const [status, thrown, seen] of [
      [400, OpenAI.BadRequestError, [400]],
      [404, OpenAI.NotFoundError, [404]],
      [429, OpenAI.RateLimitError, [429]],
      [500, OpenAI.InternalServerError, [500, 502]],
      [503, OpenAI.InternalServerError, [503]],
    ]) {
      for (const stream of [false, true]) {
        test(`the provider's ${status} is a ${thrown.name}${stream ? ', also before a stream' : ''}`, async () => {
          const failure = await failing({ model: route, messages: says(`status=${status}`), stream });
          assert.ok(failure instanceof thrown, failure.constructor.name);
          assert.ok(seen.includes(failure.status));
          assert.ok(failure.requestID);
        });
      }
    }

    test('Retry-After is kept', async () => {
      const failure = await failing({ model: route, messages: says('status=429 retry-after=17') });
      assert.equal(failure.headers.get('retry-after'), '17');
    });

    test("the client's own retry works", async () => {
      const messages = says(`status=429 times=1 id=${randomUUID()}`);
      const completion = await stack.client({ maxRetries: 2 }).chat.completions.create({ model: route, messages });
      assert.match(completion.choices[0].message.content, /Hello/);
      assert.equal((await stack.calls()).length, 2);
    });
  });
}

for (const model of TARGETS) {
  describe(model, () => {
    test('a passing failure is tried again by the gateway', async () => {
      const messages = says(`status=503 times=1 id=${randomUUID()}`);
      const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
      assert.match(data.choices[0].message.content, /Hello/);
      assert.equal(response.headers.get('x-trunkline-attempts'), '2');
    });

    test('a credential the provider refuses is no AuthenticationError', async () => {
      const failure = await failing({ model: `locked-${model}`, messages: says('words=3') });
      assert.equal(failure.status, 502);
      assert.equal(failure.code, 'provider_credential_refused');
    });

    for (const broken of ['error-mid=6', 'cut=6']) {
      test(`a stream that breaks (${broken}) throws and never ends well`, async () => {
        const stream = await client.chat.completions.create({ model, messages: says(`${broken} chunks=9`), stream: true });
        await assert.rejects(collect(stream), OpenAI.APIError);
      });
    }

    test('an error page is a bad gateway in clean JSON', async () => {
      const failure = await failing({ model, messages: says('html') });
      assert.equal(failure.status, 502);
      assert.doesNotMatch(JSON.stringify(failure.error), /<html|sk-|secret/i);
    });

    test('a caller that aborts ends the call', async () => {
      const { id, options } = identified();
      const aborted = client.chat.completions.create({ model, messages: says('latency=60000') }, { ...options, timeout: 500 });
      await assert.rejects(aborted, OpenAI.APIConnectionTimeoutError);
      assert.equal((await stack.logged(id)).state, 'cancelled');
    });
  });
}

test('a wrong key is an AuthenticationError and an unknown model a NotFoundError', async () => {
  const messages = [user('Hello')];
  const stranger = stack.client({ apiKey: 'not-a-key-of-this-gateway' });
  await assert.rejects(stranger.chat.completions.create({ model: 'fast', messages }), OpenAI.AuthenticationError);
  const failure = await failing({ model: 'fsat', messages });
  assert.ok(failure instanceof OpenAI.NotFoundError);
  assert.match(failure.message, /fast/);
  assert.deepEqual(await stack.calls(), []);
});

async function failing(request) {
  try {
    await client.chat.completions.create(request);
  } catch (failure) {
    return failure;
  }
  return assert.fail('the request did not fail');
}
