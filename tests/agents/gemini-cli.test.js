// Gemini CLI without its screen: one prompt, one tool that it runs, one answer, whoever answers.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { FIRST_KEY, startStack } from '../sdk/node/stack.js';

const GEMINI = fileURLToPath(new URL('node_modules/.bin/gemini', import.meta.url));
const SETTINGS = { security: { auth: { selectedType: 'gemini-api-key' } }, privacy: { usageStatisticsEnabled: false } };
const PROMPT = String.raw`Read the note. [[sim call=read_file arguments="{\"file_path\": \"note.txt\"}"]]`;

const stack = await startStack();
const home = await mkdtemp(join(tmpdir(), 'trunkline-agent-suite-'));
after(() => rm(home, { recursive: true }));
await mkdir(join(home, '.gemini'));
await mkdir(join(home, 'work'));
await writeFile(join(home, '.gemini', 'settings.json'), JSON.stringify(SETTINGS));
await writeFile(join(home, 'work', 'note.txt'), 'the secret word is juniper\n');

for (const model of ['official/gpt-5', 'anthropic/claude-sonnet-4-6', 'google/gemini-3-pro', 'cohere/command-a-03-2025']) {
  test(`a file is read with ${model}`, { timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [GEMINI, '-m', model, '-p', PROMPT], {
      cwd: join(home, 'work'),
      env: {
        PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
        HOME: home,
        GEMINI_API_KEY: FIRST_KEY,
        GOOGLE_GEMINI_BASE_URL: stack.gatewayUrl,
        GEMINI_CLI_TRUST_WORKSPACE: 'true',
      },
    });
    assert.match(stdout, /The tool read_file answered: .*the secret word is juniper/);
  });
}
