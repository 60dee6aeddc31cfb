// Realtime sessions by the official client, which shows its key in a subprotocol as a browser must.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';

import { startStack } from './stack.js';

const stack = await startStack();

// The client insists on TLS, which ends before the gateway.
const Native = globalThis.WebSocket;
globalThis.WebSocket = class extends Native {
  constructor(url, protocols) {
    super(url.replace('wss:', 'ws:'), protocols);
  }
};

const TEXT_ONLY = { type: 'realtime', output_modalities: ['text'], audio: { input: { turn_detection: null } } };

// Says a word and answers what was said, and how the response ended.
async function converse(realtime, begin) {
  let said = '';
  const done = new Promise((resolve, reject) => {
    realtime.on('error', reject);
    realtime.on('response.output_text.delta', (event) => (said += event.delta));
    realtime.on('response.done', (event) => resolve(event.response));
    realtime.on('session.created', () => {
      begin();
      const content = [{ type: 'input_text', text: 'Hello' }];
      realtime.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
      realtime.send({ type: 'response.create' });
    });
  });
  const response = await done;
  assert.equal(response.status, 'completed');
  assert.match(said, /Hello/);
  assert.ok(response.usage.output_tokens > 0);
  realtime.close();
}

test('a conversation in text is answered and counted', async () => {
  const realtime = new OpenAIRealtimeWebSocket({ model: 'openai/gpt' }, stack.client());
  await converse(realtime, () => realtime.send({ type: 'session.update', session: TEXT_ONLY }));
});

test('a browser holds the session that a client secret describes', async () => {
  const session = { ...TEXT_ONLY, model: 'openai/gpt' };
  const secret = await stack.client().realtime.clientSecrets.create({ session });
  assert.match(secret.value, /^ek_/);
  const browser = new OpenAI({ baseURL: stack.client().baseURL, apiKey: secret.value, maxRetries: 0 });
  const realtime = new OpenAIRealtimeWebSocket({ model: 'openai/gpt' }, browser);
  await converse(realtime, () => {});
  await assert.rejects(() => browser.models.list(), OpenAI.AuthenticationError);
});
