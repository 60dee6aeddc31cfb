// Realtime sessions by the official client, which shows its key in a subprotocol as a browser must.

import assert from 'node:assert/strict';
import { test } from 'node:test';
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

test('a conversation in text is answered and counted', async () => {
  const realtime = new OpenAIRealtimeWebSocket({ model: 'openai/gpt' }, stack.client());
  let said = '';
  const done = new Promise((resolve, reject) => {
    realtime.on('error', reject);
    realtime.on('response.output_text.delta', (event) => (said += event.delta));
    realtime.on('response.done', (event) => resolve(event.response));
    realtime.on('session.created', () => {
      realtime.send({
        type: 'session.update',
        session: { type: 'realtime', output_modalities: ['text'], audio: { input: { turn_detection: null } } },
      });
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
});
