/** Real sockets: whoever says nothing has to go when others come. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Connections } from '../../src/web/connections.js';

/** /slow is answered when `answer` is called, all else at once. */
async function serve(t: TestContext, most: number): Promise<{ open: () => Promise<Socket>; answer: () => void }> {
  let answer = () => {};
  const server = createServer((request, response) => {
    if (request.url === '/slow') answer = () => void response.end('slow');
    else response.end('ok');
  });
  const connections = new Connections(most);
  connections.watch(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    connections.closeAll();
  });
  const { port } = server.address() as AddressInfo;
  const open = async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    const accepted = once(server, 'connection');
    await once(socket, 'connect');
    await accepted;
    return socket;
  };
  return { open, answer: () => answer() };
}

async function said(socket: Socket): Promise<string> {
  const [data] = await once(socket, 'data');
  return String(data).split('\r\n')[0] ?? '';
}

test('who has been silent for longest goes, whoever is new gets an answer', async (t) => {
  const { open } = await serve(t, 3);
  const silent = [await open(), await open(), await open()];
  const gone = once(silent[0] as Socket, 'close');
  for (const _ of [1, 2]) {
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await said(socket), 'HTTP/1.1 200 OK');
  }
  await gone;
});

test('who waits for an answer stays', async (t) => {
  const { open, answer } = await serve(t, 2);
  const waiting = await open();
  waiting.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  const others = [await open(), await open(), await open()];
  await once(others[0] as Socket, 'close');
  const slow = said(waiting);
  answer();
  assert.equal(await slow, 'HTTP/1.1 200 OK');
});

test('who was answered last goes last', async (t) => {
  const { open } = await serve(t, 2);
  const [first, second] = [await open(), await open()];
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await said(first);
  const gone = once(second, 'close');
  await open();
  await gone;
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await said(first), 'HTTP/1.1 200 OK');
});
