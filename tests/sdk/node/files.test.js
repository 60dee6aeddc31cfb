// Files by the official clients: uploaded, listed, read, deleted, and referred to in a chat.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { toFile } from 'openai';

import { startStack, TARGETS } from './stack.js';

const stack = await startStack();
const client = stack.client();
const PDF = Buffer.from('%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n');

test('a file is uploaded, found, read and deleted', async () => {
  // The suite's `server.max_body` is smaller.
  const content = Buffer.alloc(6_000_000, 'line\n');
  const file = await client.files.create({ file: await toFile(content, 'lines.jsonl'), purpose: 'batch' });
  assert.deepEqual([file.object, file.filename, file.bytes], ['file', 'lines.jsonl', content.length]);
  assert.deepEqual(await client.files.retrieve(file.id), file);
  const read = await client.files.content(file.id);
  assert.ok(Buffer.from(await read.arrayBuffer()).equals(content));
  const ids = [];
  for await (const other of client.files.list({ purpose: 'batch', limit: 1 })) ids.push(other.id);
  assert.ok(ids.includes(file.id));
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), { status: 404 });
});

test('Anthropic\'s client keeps files too', async () => {
  const claude = new Anthropic({ baseURL: stack.gatewayUrl, apiKey: client.apiKey, maxRetries: 0 });
  const file = await claude.beta.files.upload({ file: await toFile(Buffer.from('hello'), 'notes.txt', { type: 'text/plain' }) });
  assert.deepEqual([file.type, file.mime_type, file.size_bytes], ['file', 'text/plain', 5]);
  assert.equal(await (await claude.beta.files.download(file.id)).text(), 'hello');
  const ids = [];
  for await (const other of claude.beta.files.list({ limit: 1 })) ids.push(other.id);
  assert.ok(ids.includes(file.id));
  assert.equal((await claude.beta.files.delete(file.id)).type, 'file_deleted');
});

for (const model of TARGETS) {
  test(`${model} reads a file that a chat refers to`, async () => {
    const file = await client.files.create({ file: await toFile(PDF, 'a.pdf'), purpose: 'user_data' });
    const content = [{ type: 'text', text: 'What is in it?' }, { type: 'file', file: { file_id: file.id } }];
    const completion = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] });
    assert.ok(completion.choices[0].message.content);
  });
}

test('Gemini\'s client uploads in pieces', async () => {
  const genai = new GoogleGenAI({ apiKey: client.apiKey, httpOptions: { baseUrl: stack.gatewayUrl } });
  const file = await genai.files.upload({ file: new Blob([PDF]), config: { mimeType: 'application/pdf', displayName: 'a.pdf' } });
  assert.deepEqual([file.displayName, file.mimeType, file.sizeBytes], ['a.pdf', 'application/pdf', String(PDF.length)]);
  assert.equal((await genai.files.get({ name: file.name })).uri, file.uri);
  const parts = [{ text: 'What is in it?' }, { fileData: { fileUri: file.uri, mimeType: file.mimeType } }];
  const answer = await genai.models.generateContent({ model: 'anthropic/claude', contents: [{ role: 'user', parts }] });
  assert.ok(answer.text);
  await genai.files.delete({ name: file.name });
  await assert.rejects(genai.files.get({ name: file.name }), { status: 404 });
});
