import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openFileLimit } from '../../../src/system/open-file-limit.js';
import { ConnectionLimiter, maxConnections } from '../../../src/web/connections/connection-limiter.js';

/** A server that answers /slow when `answer` is called, and every other path at once. */
async function serve(t: TestContext, limit: number): Promise<{ open: () => Promise<Socket>; answer: () => void }> {
  let answer = () => {};
  const server = createServer((request, response) => {
    if (request.url === '/slow') answer = () => void response.end('slow');
    else response.end('ok');
  });
  const connections = new ConnectionLimiter(limit);
  server.on('connection', (socket) => connections.add(socket));
  server.on('request', ({ socket }, response) => {
    connections.setActive(socket, true);
    response.once('close', () => connections.setActive(socket, false));
  });
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

async function statusLine(socket: Socket): Promise<string> {
  const [data] = await once(socket, 'data');
  return String(data).split('\r\n')[0] ?? '';
}

test('a new connection is answered, and the one idle for longest is closed', async (t) => {
  const { open } = await serve(t, 3);
  const idle = [await open(), await open(), await open()];
  const closed = once(idle[0] as Socket, 'close');
  for (const _ of [1, 2]) {
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await statusLine(socket), 'HTTP/1.1 200 OK');
  }
  await closed;
});

test('a connection that waits for an answer stays open', async (t) => {
  const { open, answer } = await serve(t, 2);
  const waiting = await open();
  waiting.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  const idle = [await open(), await open(), await open()];
  await once(idle[0] as Socket, 'close');
  const slow = statusLine(waiting);
  answer();
  assert.equal(await slow, 'HTTP/1.1 200 OK');
});

test('the connection that was answered last is closed last', async (t) => {
  const { open } = await serve(t, 2);
  const [first, second] = [await open(), await open()];
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await statusLine(first);
  const closed = once(second, 'close');
  await open();
  await closed;
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await statusLine(first), 'HTTP/1.1 200 OK');
});

/** A socket that knows its addresses and whether it was destroyed. */
function fakeSocket(remoteAddress: string, remotePort: number): Socket {
  const socket = new Socket();
  for (const [name, value] of Object.entries({ remoteAddress, remotePort, localAddress: '127.0.0.1', localPort: 1 }))
    Object.defineProperty(socket, name, { value });
  return socket;
}

test('the network with the most connections loses one, also if all of them are active', () => {
  const connections = new ConnectionLimiter(4);
  const scraper = fakeSocket('192.0.2.1', 1);
  const crowd = [1, 2, 3, 4, 5].map((host) => fakeSocket(`2001:db8::${host}`, host));
  connections.add(scraper);
  for (const socket of crowd.slice(0, 3)) connections.add(socket);
  for (const socket of crowd.slice(0, 3)) connections.setActive(socket, true);
  connections.add(crowd[3] as Socket);
  connections.setActive(crowd[3] as Socket, true);
  connections.add(crowd[4] as Socket);
  assert.deepEqual(
    [scraper, ...crowd].map(({ destroyed }) => destroyed),
    [false, true, true, false, false, false],
  );
});

test('a connection that has just been accepted stays, if all the rest wait for their turn', () => {
  const connections = new ConnectionLimiter(3);
  const sockets = [1, 2, 3, 4].map((port) => fakeSocket('192.0.2.1', port));
  for (const socket of sockets.slice(0, 2)) {
    connections.add(socket);
    connections.touch(socket);
  }
  for (const socket of sockets.slice(2)) connections.add(socket);
  assert.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [true, false, false, false],
  );
});

/** Content of /proc/PID/limits. */
const limits = (soft: string) => `Limit                     Soft Limit           Hard Limit           Units
Max processes             63704                63704                processes
Max open files            ${soft.padEnd(20)} 524288               files
Max locked memory         8388608              8388608              bytes
`;

test('the limit is a quarter of the open files allowed, from 1 to 512', () => {
  for (const [soft, max] of [
    ['256', 64],
    ['1024', 256],
    ['524288', 512],
    ['unlimited', 512],
    ['3', 1],
  ] as const)
    assert.equal(maxConnections(openFileLimit(limits(soft))), max, soft);
  assert.equal(maxConnections(openFileLimit('')), 512);
});
