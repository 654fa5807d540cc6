/** The web server below HTTP: order of requests on a connection, and what it does with clients that send too much. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebConfigFile } from '../../src/web/access/web-config-file.js';
import { Listener, SharedLimits } from '../../src/web/listener.js';

interface Served {
  readonly open: () => Client;
  /** Paths of the requests so far. */
  readonly paths: string[];
  /** Paths of the requests whose client has gone before the answer was complete. */
  readonly gone: string[];
  /** Ends the oldest response that is not finished. */
  readonly answer: (text?: string) => void;
}

class Client {
  readonly socket: Socket;
  received = '';

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (text) => {
      this.received += text;
    });
    this.socket.on('end', () => this.socket.end());
    this.socket.on('error', () => {});
  }

  async until(done: (received: string) => boolean): Promise<string> {
    for (let tries = 0; !done(this.received); tries++) {
      assert.ok(tries < 3000, `received only ${this.received}`);
      await sleep(10);
    }
    return this.received;
  }

  async closed(): Promise<string> {
    await new Promise((resolve) => this.socket.once('close', resolve));
    return this.received;
  }
}

/** Serves with answers that wait for {@link Served.answer}, except for /now. */
async function serve(t: TestContext): Promise<Served> {
  const [paths, gone]: [string[], string[]] = [[], []];
  const waiting: ServerResponse[] = [];
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    paths.push(request.url ?? '');
    response.once('close', () => {
      if (!response.writableFinished) gone.push(request.url ?? '');
    });
    if (request.url === '/now') response.end('now');
    else waiting.push(response);
  };
  const address = { host: '127.0.0.1', port: 0 };
  const listener = await Listener.open(address, handler, new WebConfigFile(undefined), new SharedLimits());
  t.after(() => listener.close());
  const open = () => {
    const client = new Client(Number(new URL(listener.url).port));
    t.after(() => client.socket.destroy());
    return client;
  };
  return { open, paths, gone, answer: (text) => void waiting.shift()?.end(text ?? 'later') };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const bodies = (received: string) => received.match(/(?<=\r\n\r\n)(?:now|later|\d)/g) ?? [];

test('requests that are sent at once are answered one after the other, in order', async (t) => {
  const { open, paths, answer } = await serve(t);
  const client = open();
  client.socket.write(['/1', '/2', '/3'].map(get).join(''));
  for (const [index, body] of ['1', '2', '3'].entries()) {
    for (let tries = 0; paths.length < index + 1; tries++) {
      assert.ok(tries < 3000);
      await sleep(10);
    }
    // Time enough for another request to arrive, if it did.
    await sleep(30);
    assert.equal(paths.length, index + 1);
    answer(body);
  }
  assert.deepEqual(bodies(await client.until((text) => bodies(text).length === 3)), ['1', '2', '3']);
});

const expecting = (what: string) => get('/expect').replace('\r\n\r\n', `\r\nExpect: ${what}\r\n\r\n`);

test('requests that expect the impossible are answered one after the other, too', async (t) => {
  const { open, paths, answer } = await serve(t);
  const client = open();
  client.socket.write(expecting('the impossible').repeat(3));
  for (let requests = 1; requests <= 3; requests++) {
    for (let tries = 0; paths.length < requests; tries++) {
      assert.ok(tries < 3000, `${paths.length} of ${requests} requests; received ${client.received}`);
      await sleep(10);
    }
    await sleep(30);
    assert.equal(paths.length, requests);
    assert.equal(client.received.match(/HTTP\/1\.1 /g)?.length ?? 0, requests - 1);
    answer();
    await client.until((text) => bodies(text).length === requests);
  }
});

test('a client that expects 100-continue is answered without it, and the connection is closed', async (t) => {
  const { open, paths, answer } = await serve(t);
  const client = open();
  client.socket.write(expecting('100-continue').repeat(3));
  for (let tries = 0; paths.length === 0 && tries < 3000; tries++) await sleep(10);
  await sleep(30);
  assert.equal(client.received, '');
  answer();
  assert.deepEqual(bodies(await client.closed()), ['later']);
  assert.deepEqual(paths, ['/expect']);
});

test('a request may arrive in pieces of any size, after empty lines, with or without CR', async (t) => {
  const { open } = await serve(t);
  for (const size of [1, 2, 3, 7, 1000]) {
    const client = open();
    const text = `\r\n\r\n${get('/now')}\r\n${get('/now')}`;
    for (let at = 0; at < text.length; at += size) {
      client.socket.write(text.slice(at, at + size));
      if (size < 1000) await sleep(1);
    }
    assert.deepEqual(bodies(await client.until((received) => bodies(received).length === 2)), ['now', 'now']);
  }
});

test('a client that sends far ahead gets the answer to its first request, and the connection is closed', async (t) => {
  const { open, paths, answer } = await serve(t);
  const client = open();
  client.socket.write(get('/first') + get('/more').repeat(1000));
  for (let tries = 0; paths.length === 0 && tries < 3000; tries++) await sleep(10);
  answer();
  assert.deepEqual(bodies(await client.closed()), ['later']);
  assert.deepEqual(paths, ['/first']);
});

test('what a client sends ahead while it waits stays with the client', async (t) => {
  const { open, paths } = await serve(t);
  const client = open();
  client.socket.write(get('/first'));
  for (let tries = 0; paths.length === 0 && tries < 3000; tries++) await sleep(10);
  const more = Buffer.alloc(64 << 20, get('/more'));
  client.socket.write(more);
  await sleep(300);
  assert.ok(client.socket.writableLength > 0, 'everything was read');
  assert.deepEqual(paths, ['/first']);
});

test('a client that ends its half of the connection gets answers that are there at once', async (t) => {
  const { open } = await serve(t);
  const client = open();
  client.socket.end(get('/now'));
  assert.deepEqual(bodies(await client.closed()), ['now']);
});

test('it is noticed while an answer is made that the client has gone', async (t) => {
  const { open, paths, gone } = await serve(t);
  for (const leave of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.resetAndDestroy()]) {
    const client = open();
    client.socket.write(get('/gone'));
    for (let tries = 0; paths.length === gone.length && tries < 3000; tries++) await sleep(10);
    leave(client.socket);
    for (let tries = 0; paths.length !== gone.length && tries < 3000; tries++) await sleep(10);
  }
  assert.deepEqual(
    [paths, gone],
    [
      ['/gone', '/gone'],
      ['/gone', '/gone'],
    ],
  );
});

test('a request that does not end is refused after ten seconds', { timeout: 300_000 }, async (t) => {
  const { open } = await serve(t);
  const [silent, slow, second] = [open(), open(), open()];
  slow.socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
  second.socket.write(`${get('/now')}GET /`);
  // Server and clients share an event loop: this counts how long it ran, and not how long the machine kept it waiting.
  let seconds = 0;
  const timer = setInterval(() => {
    seconds += 0.1;
  }, 100);
  t.after(() => clearInterval(timer));
  const start = performance.now();
  const silentEnd = silent.closed();
  const secondEnd = second.closed();
  assert.match(await slow.closed(), /^HTTP\/1\.1 408 /);
  assert.ok(performance.now() - start > 9000 && seconds < 15, String(seconds));
  await silentEnd;
  assert.match(await secondEnd, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 408 /);
});
