// Starts the simulated provider and a gateway in front of it, and asks both what happened.

import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';

export const TARGETS = ['openai/gpt', 'anthropic/claude', 'google/gemini'];
export const FIRST_KEY = 'key-of-the-first-application';
const CONFIGURATION = fileURLToPath(new URL('../trunkline.yaml', import.meta.url));
const PATIENCE_MS = 10_000;

/** One simulated provider and one gateway for the tests of one file; stopped after its last test. */
export async function startStack() {
  const home = await mkdtemp(join(tmpdir(), 'trunkline-node-suite-'));
  const data = join(home, 'data');
  const services = [];
  after(async () => {
    for (const service of services.reverse()) await stop(service);
    await rm(home, { recursive: true });
  });

  const sim = await start(home, ['sim'], '/sim/calls');
  services.push(sim);
  const googleKey = await (await fetch(`${sim.url}/sim/google-key-file`)).text();
  const environment = { SIM_URL: sim.url, GOOGLE_KEY: googleKey };
  const gateway = await start(home, ['serve', '--config', CONFIGURATION, '--data-dir', data], '/readyz', environment);
  services.push(gateway);
  return new Stack(sim.url, gateway.url, readFileSync(join(data, 'admin.key'), 'utf8').trim());
}

class Stack {
  constructor(simUrl, gatewayUrl, adminKey) {
    this.simUrl = simUrl;
    this.gatewayUrl = gatewayUrl;
    this.adminKey = adminKey;
  }

  /** The official client with nothing but base URL and key; it does not retry unless told to. */
  client(options = {}) {
    return new OpenAI({ baseURL: `${this.gatewayUrl}/v1`, apiKey: FIRST_KEY, maxRetries: 0, timeout: 30_000, ...options });
  }

  /** What the gateway asked the simulated provider, oldest first. */
  async calls() {
    return (await fetch(`${this.simUrl}/sim/calls`)).json();
  }

  async forgetCalls() {
    await fetch(`${this.simUrl}/sim/calls`, { method: 'DELETE' });
  }

  /** The one row of this call in the log, as soon as the call has ended and reached the store. */
  async logged(clientRequestId) {
    const url = `${this.gatewayUrl}/api/v1/db/logs?client_request_id=${encodeURIComponent(clientRequestId)}`;
    const headers = { authorization: `Bearer ${this.adminKey}` };
    return waitFor(async () => {
      const { data } = await (await fetch(url, { headers })).json();
      return data.items.find((row) => row.ended_at !== null);
    }, `call ${clientRequestId} to be in the log`);
  }
}

/** A line to `url` that carries one byte at a time, both ways; cut after the last test. */
export async function startDribble(url) {
  const { hostname: host, port } = new URL(url);
  const sockets = new Set();
  const listener = createServer((near) => {
    const far = connect({ host, port: Number(port) });
    for (const [source, sink] of [[near, far], [far, near]]) {
      sockets.add(source.setNoDelay());
      source.on('error', () => sink.destroy());
      source.on('end', () => sink.end());
      source.on('data', (bytes) => {
        for (let place = 0; place < bytes.length; place += 1) sink.write(bytes.subarray(place, place + 1));
      });
    }
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { url: `http://127.0.0.1:${listener.address().port}` };
}

async function start(home, command, ready, environment = {}) {
  const port = await freePort();
  const log = join(home, `${command[0]}.log`);
  const output = openSync(log, 'w');
  const child = spawn(process.env.TRUNKLINE_BINARY, [...command, '--listen', `127.0.0.1:${port}`], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, ...environment },
    stdio: ['ignore', output, output],
  });
  const url = `http://127.0.0.1:${port}`;
  await waitFor(async () => {
    if (child.exitCode !== null) throw new Error(`${command[0]} ended with ${child.exitCode}:\n${readFileSync(log, 'utf8')}`);
    return (await fetch(url + ready).catch(() => null))?.ok;
  }, `${command[0]} to be ready`);
  return { child, url };
}

async function stop({ child }) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(impatience);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until `condition` gives something true; other processes bring it about, so there is nothing to be told by. */
async function waitFor(condition, what) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(20)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`);
}
