import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../temporary-folder.js';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n';

/**
 * Starts a process' end of a QMP socket, which answers each command as the test wants. Returns its path.
 * @param answer the value to return for a command; undefined: no answer; a text: the line to send
 */
export async function startFakeQmp(t: TestContext, answer: (command: string) => unknown): Promise<string> {
  const path = join(temporaryFolder(t, 'qmp'), 'socket');
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.write(GREETING);
    client.on('data', (data) => {
      for (const line of data.toString().trim().split('\n')) {
        const command = String(JSON.parse(line).execute);
        const value = command === 'qmp_capabilities' ? {} : answer(command);
        if (value !== undefined)
          client.write(typeof value === 'string' ? value : `${JSON.stringify({ return: value })}\r\n`);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  t.after(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  return path;
}
