import { createServer } from 'node:net';

/** A TCP port of this host without a listener, for programs that cannot report which port they chose. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no TCP port');
  return address.port;
}
