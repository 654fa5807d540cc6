/** Control sockets (--qemu.qmp) that are silent, close, or claim to be those of another VM. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcTree } from '../support/agent/proc-tree.js';
import { socketLink } from '../support/agent/socket-link.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { HANG_MS } from '../support/patience.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Answers like the QEMU of a VM. */
function answerAs(name: string): (client: Socket) => void {
  return (client) => {
    client.on('error', () => {}).write('{"QMP": {"version": {}, "capabilities": []}}\n');
    client.on('data', (data) => {
      for (const command of data.toString().trim().split('\n')) {
        const { execute } = JSON.parse(command) as { execute: string };
        const answers: Record<string, unknown> = {
          'query-name': { name },
          'query-uuid': { UUID: '' },
          'human-monitor-command': '',
        };
        client.write(`${JSON.stringify({ return: answers[execute] ?? {} })}\n`);
      }
    });
  };
}

/** Behaves like a QEMU that ends while it is asked: it closes the connection and removes its socket. */
function endWhenAsked(client: Socket, server: Server): void {
  server.close();
  client.destroy();
}

test('a socket is asked only if the process of a VM serves it, and speaks for no other VM', async (t) => {
  const folder = temporaryFolder(t, 'sockets');
  const proc = new ProcTree(t);
  const connections = new Map<string, number>();
  const listen = async (name: string, answer: (client: Socket, server: Server) => void): Promise<string> => {
    const path = join(folder, `${name}.sock`);
    const server = createServer((client) => {
      connections.set(name, (connections.get(name) ?? 0) + 1);
      answer(client, server);
    });
    server.listen(path).unref();
    await once(server, 'listening');
    t.after(() => server.close());
    return socketLink(path);
  };
  /** A VM whose process listens on these sockets. */
  const putVm = (pid: number, name: string, descriptors: readonly string[]) => {
    proc.put({
      pid,
      comm: 'qemu-system-x86',
      startTime: pid,
      args: ['qemu-system-x86_64', '-name', name],
      descriptors,
    });
    symlinkSync('/proc/self/net', join(proc.root, `${pid}/net`));
    symlinkSync('/', join(proc.root, `${pid}/root`));
  };
  // Another VM of the same name does not make this one unknown.
  putVm(44, 'good', []);
  putVm(41, 'good', [await listen('good', answerAs('good'))]);
  putVm(42, 'silent', [await listen('silent', () => {}), await listen('impostor', answerAs('good'))]);
  putVm(43, 'ending', [await listen('ending', endWhenAsked)]);
  await listen('stranger', answerAs('good'));
  writeFileSync(join(folder, 'vm.log'), '');
  const agent = await WebAgent.startCommand('run', [
    '--no-collector.kernel',
    `--qemu.log=${folder}/*.log`,
    `--path.procfs=${proc.root}`,
    `--qemu.qmp=${folder}/*.sock`,
    `--qemu.qmp=${folder}/missing`,
  ]);
  for (const words of ['silent.sock: no greeting', 'stranger.sock: no process of a known VM serves it', 'missing'])
    await agent.until(words);
  await agent.until('impostor');
  for (const endMs = performance.now() + HANG_MS; connections.size < 4; await sleep(50))
    assert.ok(performance.now() < endMs, [...connections.keys()].join());
  await sleep(3000);
  assert.deepEqual([...connections.keys()].sort(), ['ending', 'good', 'impostor', 'silent']);
  const impostors = agent.log.split('\n').filter((line) => /ignoring a control socket/.test(line));
  assert.equal(impostors.length, 1, agent.log);
  assert.match(impostors[0] ?? '', /impostor\.sock.* vm=good/);
  assert.doesNotMatch(agent.log, /level=warn .*ending\.sock/);
  assert.doesNotMatch(agent.log, /path=\S*good\.sock|err="?\S*good\.sock/);
});
