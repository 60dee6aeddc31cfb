// Every official client against every provider: the same conversation, nothing of it lost, and all of it in the ledger.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { identified } from './chats.js';
import { FACES } from './faces/index.js';
import { FIRST_KEY, startDribble, startStack } from './stack.js';
import { EVERY_TARGET, cost } from './targets.js';

const UNICODE = 'Grüße, 世界! Ωmega नमस्ते 👩‍👩‍👧‍👦 e\u0301 \u{1f1e9}\u{1f1ea}';
/** What a call's finish is called, by client: after a text, and after a tool call. */
const FINISHED = ['stop', 'completed', 'end_turn', 'STOP', 'COMPLETE'];
const CALLED = ['tool_calls', 'completed', 'tool_use', 'STOP', 'tool-calls', 'TOOL_CALL'];

const stack = await startStack();
const dribble = await startDribble(stack.gatewayUrl);

for (const connect of FACES) {
  const face = connect(stack.gatewayUrl, FIRST_KEY);
  const dribbling = connect(dribble.url, FIRST_KEY);
  for (const target of EVERY_TARGET) describe(`${face.name}, ${target.model}`, () => matters(face, dribbling, target));

  describe(face.name, () => {
    for (const [what, model, key, status] of [
      ['an unknown model', 'nobody/nothing', FIRST_KEY, 404],
      ['an unknown key', 'openai/gpt', 'not-a-key-of-this-gateway', 401],
    ]) {
      test(`${what} throws the client's own class`, async () => {
        const failure = await failing(connect(stack.gatewayUrl, key), model, 'Hello');
        assert.ok(failure instanceof face.errors[status], failure.constructor.name);
        assert.equal(face.failure(failure).status, status);
      });
    }
  });
}

function ask(face, model, turns, { stream = false, headers = {}, signal, onPiece, ...wanted } = {}) {
  const request = face.request(model, turns, wanted);
  const options = { headers, ...(signal && { signal }) };
  return stream ? face.streamed(request, { ...options, onPiece }) : face.whole(request, options);
}

async function failing(face, model, text, options) {
  try {
    await ask(face, model, [['user', text]], options);
  } catch (failure) {
    return failure;
  }
  return assert.fail('it did not fail');
}

function matters(face, dribbling, target) {
  const { model, thinker } = target;

  for (const stream of [false, true]) {
    const how = stream ? 'streamed' : 'whole';

    test(`a text arrives byte by byte with its usage and is recorded, ${how}`, async () => {
      const { id, options } = identified();
      const answer = await ask(face, model, [['user', `[[sim text="${UNICODE}" bytes=1 cached=3]]`]], { stream, ...options });
      assert.equal(answer.text, UNICODE);
      assert.ok(FINISHED.includes(answer.finish), answer.finish);
      const call = await stack.logged(id);
      assert.deepEqual([call.state, call.status, call.streamed], ['settled', 200, stream]);
      assert.ok(answer.input > 0 && answer.output > 0);
      assert.deepEqual([answer.input, answer.cached, answer.output], [call.usage.input_tokens, 3, call.usage.output_tokens]);
      assert.equal(call.usage.cached_input_tokens, 3);
      assert.equal(nanoDollars(call), cost(call.usage));
    });

    test(`a tool is called and its result is heard, ${how}`, async () => {
      const question = ['user', 'Use get_weather for Oslo'];
      const first = await ask(face, model, [question], { tools: true, stream });
      assert.deepEqual(first.calls.map((call) => call.name), ['get_weather']);
      assert.equal(typeof first.calls[0].input.city, 'string');
      assert.ok(CALLED.includes(first.finish), first.finish);
      const second = await ask(face, model, [question, ['answer', first], ['results', [[first.calls[0], 'rain']]]], { tools: true, stream });
      assert.match(second.text, /rain/);
    });

    test(`parallel calls keep apart and their results find them, ${how}`, async () => {
      const cities = ['Oslo', 'Köln', '東京'];
      const wishes = cities.map((city) => `call=get_weather arguments="{\\"city\\": \\"${city}\\"}"`).join(' ');
      const question = ['user', `How is it? [[sim ${wishes}]]`];
      const first = await ask(face, model, [question], { tools: true, stream });
      assert.deepEqual(first.calls.map((call) => call.input), cities.map((city) => ({ city })));
      const results = first.calls.map((call) => [call, `rain in ${call.input.city}`]);
      const second = await ask(face, model, [question, ['answer', first], ['results', results]], { tools: true, stream });
      assert.match(second.text, /rain in Oslo.*rain in Köln.*rain in 東京/s);
    });

    test(`an answer follows a schema, ${how}`, async () => {
      const { text } = await ask(face, model, [['user', 'Who is it?']], { schema: true, stream });
      const person = JSON.parse(text);
      assert.deepEqual(Object.keys(person).sort(), ['age', 'name']);
      assert.ok(Number.isInteger(person.age));
    });

    // The simulated providers refuse a second turn whose thoughts are missing or do not bear their signature.
    test(`thoughts are shown, counted and travel back with the tool's result, ${how}`, async () => {
      const { id, options } = identified();
      const question = ['user', 'Use get_weather for Oslo'];
      const asked = { tools: true, thoughts: true, stream };
      const first = await ask(face, thinker, [question], { ...asked, ...options });
      assert.deepEqual(first.calls.map((call) => call.name), ['get_weather']);
      if (target.showsThoughts !== false && face.showsThoughts !== false) assert.match(first.thoughts, /Simulated reasoning/);
      assert.doesNotMatch(first.text, /Simulated reasoning/);
      const { usage } = await stack.logged(id);
      assert.equal(first.output, usage.output_tokens);
      if (target.countsThoughts !== false) assert.ok(usage.reasoning_tokens > 0 && usage.reasoning_tokens <= usage.output_tokens);
      const second = await ask(face, thinker, [question, ['answer', first], ['results', [[first.calls[0], 'rain']]]], asked);
      assert.match(second.text, /rain/);
    });
  }

  test('text is not broken between any two bytes of the caller’s', async () => {
    const { text } = await ask(dribbling, model, [['user', `Say ${UNICODE}`]], { stream: true });
    assert.ok(text.includes(UNICODE), text);
  });

  test('an image is seen', async () => {
    const seer = target.seer ?? model;
    const seen = await ask(face, seer, [['image', 'What is this?']]);
    assert.match(seen.text, /What is this\?/);
    assert.ok(seen.input > (await ask(face, seer, [['user', 'What is this?']])).input);
  });

  test('a document is read, or refused with a reason', async () => {
    const asked = ask(face, model, [['document', 'What does it say?']]);
    if (target.refusesDocuments && face.name !== 'cohere') {
      await assert.rejects(asked, (failure) => failure instanceof face.errors[400] && target.refusesDocuments.test(failure.message));
      return;
    }
    const read = await asked;
    assert.match(read.text, /What does it say\?/);
    assert.ok(read.input > (await ask(face, model, [['user', 'What does it say?']])).input);
  });

  test('a stream of thousands of events arrives whole', async () => {
    const { text, pieces } = await ask(face, model, [['user', '[[sim words=2500 chunks=2000]]']], { stream: true });
    assert.ok(pieces >= 2000, pieces);
    assert.equal(text.split(/\s+/).filter(Boolean).length, 2500);
  });

  for (const status of [400, 404, 429, 500, 503]) {
    test(`the provider's ${status} throws the client's own class`, async () => {
      const { id, options } = identified();
      const failure = await failing(face, model, `[[sim status=${status} retry-after=60]]`, options);
      assert.ok(failure instanceof face.errors[status], failure.constructor.name);
      const seen = face.failure(failure);
      // A server that fails behind a gateway is a bad gateway.
      assert.equal(seen.status, face.statuses?.[status] ?? (status === 500 ? 502 : status));
      const call = await stack.logged(id);
      if (!face.hidesFields) {
        assert.equal(seen.requestId, call.request_id);
        assert.equal(seen.retryAfter, [429, 500, 503].includes(status) ? '60' : undefined);
      }
      assert.equal(call.state, 'failed');
      assert.equal(nanoDollars(call), 0);
    });
  }

  test('a caller that goes away is accounted for', async () => {
    const { id, options } = identified();
    const leaving = new AbortController();
    let pieces = 0;
    const onPiece = () => (pieces += 1) === 6 && leaving.abort();
    const asked = { stream: true, signal: leaving.signal, onPiece, ...options };
    // Some clients end the stream quietly when they are told to leave it, others throw.
    await ask(face, model, [['user', '[[sim chunks=100 words=200 chunk-delay=30]]']], asked).catch(() => {});
    const call = await stack.logged(id);
    assert.equal(call.state, 'cancelled');
    assert.ok(call.usage.input_tokens > 0);
    assert.ok(nanoDollars(call) > 0);
    assert.equal(nanoDollars(call), cost(call.usage));
  });
}

/** A recorded cost, without the rounding of floating point. */
function nanoDollars(call) {
  return Number(call.cost_usd.replace('.', ''));
}
