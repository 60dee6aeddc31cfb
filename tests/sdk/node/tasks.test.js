// What is no chat, by the official clients: vectors, ranks, pictures, speech and transcripts, each recorded with its usage.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GoogleGenAI } from '@google/genai';
import { CohereClientV2 } from 'cohere-ai';
import { toFile } from 'openai';

import { identified } from './chats.js';
import { FIRST_KEY, startStack } from './stack.js';

const stack = await startStack();
const client = stack.client();
const genai = new GoogleGenAI({ apiKey: FIRST_KEY, httpOptions: { baseUrl: stack.gatewayUrl, retryOptions: { attempts: 1 } } });
const cohere = new CohereClientV2({ token: FIRST_KEY, environment: stack.gatewayUrl, maxRetries: 0 });

/** What makes vectors, and how its calls are recorded: Gemini does not say what they took. */
const EMBEDDERS = [
  ['openai/text-embedding-3-small', 'settled'],
  ['google/gemini-embedding-001', 'estimated'],
  ['cohere/embed-v4.0', 'settled'],
];

for (const [model, state] of EMBEDDERS) {
  test(`${model} makes vectors of texts for every client`, async () => {
    const { id, options } = identified();
    const input = ['one text', 'and another'];
    const answer = await client.embeddings.create({ model, input }, options);
    assert.deepEqual(answer.data.map(({ index }) => index), [0, 1]);
    const [vector] = answer.data.map(({ embedding }) => embedding);
    assert.ok(vector.length > 100 && vector.every(Number.isFinite));
    const call = await stack.logged(id);
    assert.deepEqual([call.state, call.operation, call.usage.input_tokens], [state, 'embeddings', answer.usage.prompt_tokens]);

    const asGemini = await genai.models.embedContent({ model, contents: input });
    const asCohere = await cohere.embed({ model, texts: input, inputType: 'search_document', embeddingTypes: ['float'] });
    for (const vectors of [asGemini.embeddings.map(({ values }) => values), asCohere.embeddings.float]) {
      assert.equal(vectors.length, 2);
      assert.equal(vectors[0].length, vector.length);
    }
  });
}

test('documents are ranked', async () => {
  const documents = ['about trains', 'about ships', 'about rain'];
  const { results } = await cohere.rerank({ model: 'cohere/rerank-v3.5', query: 'ships', documents, topN: 2 });
  assert.equal(results.length, 2);
  assert.ok(results[0].relevanceScore >= results[1].relevanceScore);
});

for (const model of ['openai/gpt-image-1', 'google/imagen-4.0-generate-001']) {
  test(`${model} makes a picture`, async () => {
    const { id, options } = identified();
    const { data } = await client.images.generate({ model, prompt: 'a line' }, options);
    assert.equal(Buffer.from(data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
    const call = await stack.logged(id);
    assert.equal(call.state, 'settled');
  });
}

test('a picture is handed out by a link', async () => {
  const { data } = await client.images.generate({ model: 'google/imagen-4.0-generate-001', prompt: 'a line', response_format: 'url' });
  const picture = await fetch(data[0].url);
  assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/png']);
});

test('a picture is edited', async () => {
  const made = await client.images.generate({ model: 'openai/gpt-image-1', prompt: 'a line' });
  const image = await toFile(Buffer.from(made.data[0].b64_json, 'base64'), 'line.png', { type: 'image/png' });
  const { data } = await client.images.edit({ model: 'openai/gpt-image-1', image, prompt: 'thicker' });
  assert.ok(data[0].b64_json);
});

test('speech is made and written down', async () => {
  const { id, options } = identified();
  const speech = await client.audio.speech.create({ model: 'openai/tts-1', voice: 'alloy', input: 'Hello', response_format: 'wav' }, options);
  const sound = Buffer.from(await speech.arrayBuffer());
  assert.equal(sound.subarray(0, 4).toString(), 'RIFF');
  // The vendor says nothing of what it took.
  assert.equal((await stack.logged(id)).state, 'estimated');
  const file = () => toFile(sound, 'hello.wav', { type: 'audio/wav' });
  const written = await client.audio.transcriptions.create({ model: 'openai/whisper-1', file: await file() });
  assert.ok(written.text);
  const translated = await client.audio.translations.create({ model: 'openai/whisper-1', file: await file() });
  assert.ok(translated.text);
});

test('a transcript is streamed', async () => {
  const { id, options } = identified();
  const speech = await client.audio.speech.create({ model: 'openai/tts-1', voice: 'alloy', input: 'Hello', response_format: 'wav' });
  const file = await toFile(Buffer.from(await speech.arrayBuffer()), 'hello.wav', { type: 'audio/wav' });
  const events = await client.audio.transcriptions.create({ model: 'openai/gpt-4o-transcribe', file, stream: true }, options);
  let text = '';
  let done;
  for await (const event of events) {
    if (event.type === 'transcript.text.delta') text += event.delta;
    else if (event.type === 'transcript.text.done') done = event;
  }
  assert.ok(text);
  assert.equal(done.text, text);
  const call = await stack.logged(id);
  assert.deepEqual([call.state, call.usage.output_tokens], ['settled', done.usage.output_tokens]);
});
