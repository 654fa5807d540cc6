/** SIGTERM ends the agent within two seconds, whatever files and peers do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcTree } from '../support/agent/proc-tree.js';
import { socketLink } from '../support/agent/socket-link.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { secondsUntil } from '../support/cpu-wait.js';
import { endAll } from '../support/end-later.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

const QEMU = ['qemu-system-x86_64', '-name', 'guest=a'];
const MAX_SECONDS = 2;
const LINE = 'kvm_run_exit cpu_index 0, reason 2\n';

/** Returns the agent's arguments. */
type Prepare = (folder: string, t: TestContext) => Promise<readonly string[]>;

async function listening(server: Server, t: TestContext, where: string | number): Promise<AddressInfo | string> {
  server.listen(where).unref();
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address() as AddressInfo | string;
}

const CASES: readonly (readonly [string, Prepare])[] = [
  [
    'pipes in the place of logs and traces',
    async (folder) => {
      for (const name of ['a.log', 'trace-7']) execFileSync('mkfifo', [join(folder, name)]);
      return [`--qemu.log=${folder}/*.log`, `--qemu.simple=${folder}/trace-*`];
    },
  ],
  [
    'a pipe in the place of the list of events in the root of a process',
    async (folder, t) => {
      const proc = new ProcTree(t);
      proc.put({ pid: 7, comm: 'qemu-system-x86', args: QEMU, startTime: 7 });
      const share = join(proc.root, '7/root/opt/share/qemu');
      mkdirSync(share, { recursive: true });
      symlinkSync('/opt/bin/qemu', join(proc.root, '7/exe'));
      execFileSync('mkfifo', [join(share, 'trace-events-all')]);
      const header = Buffer.alloc(24, 0xff);
      header.writeBigUInt64LE(0xf2b177cb0aa429b4n, 8);
      header.writeBigUInt64LE(3n, 16);
      writeFileSync(join(folder, 'trace-7'), header);
      return [`--path.procfs=${proc.root}`, `--qemu.simple=${folder}/trace-*`];
    },
  ],
  [
    'a control socket of a VM that takes connections and is silent',
    async (folder, t) => {
      const socket = join(folder, 'a.sock');
      await listening(createServer(), t, socket);
      const proc = new ProcTree(t);
      const descriptors = [socketLink(socket)];
      proc.put({ pid: 7, comm: 'qemu-system-x86', args: QEMU, startTime: 7, descriptors });
      symlinkSync('/proc/self/net', join(proc.root, '7/net'));
      symlinkSync('/', join(proc.root, '7/root'));
      writeFileSync(join(folder, 'a.log'), '');
      return [`--path.procfs=${proc.root}`, `--qemu.log=${folder}/*.log`, `--qemu.qmp=${socket}`];
    },
  ],
  [
    'an OTLP receiver that is silent',
    async (folder, t) => {
      const { port } = (await listening(createHttpServer(), t, 0)) as AddressInfo;
      return [`--qemu.log=${folder}/*.log`, `--otlp.endpoint=http://127.0.0.1:${port}`];
    },
  ],
  ['logs that are written faster than they are read', async (folder) => [`--qemu.log=${folder}/*.log`]],
];

for (const [what, prepare] of CASES)
  test(`SIGTERM ends the agent in time: ${what}`, async (t) => {
    const folder = temporaryFolder(t, 'stop');
    const agent = await WebAgent.startCommand('run', ['--no-collector.kernel', ...(await prepare(folder, t))]);
    for (let file = 0; file < 20; file++) writeFileSync(join(folder, `late-${file}.log`), LINE.repeat(100_000));
    for (let file = 0; file < 20; file++) appendFileSync(join(folder, `late-${file}.log`), LINE.repeat(100_000));
    // The agent looks for new files and for sockets to ask every two seconds.
    await sleep(2500);
    assert.equal(agent.process.exitCode, null, agent.log);
    const taken = secondsUntil(once(agent.process, 'exit'), agent.process.pid);
    agent.process.kill('SIGTERM');
    const seconds = await taken;
    t.diagnostic(`${seconds.toFixed(2)} s`);
    assert.ok(seconds <= MAX_SECONDS, `${seconds.toFixed(1)} s`);
    assert.deepEqual([agent.process.exitCode, agent.process.signalCode], [0, null], agent.log);
  });

for (const option of ['config.file', 'web.config.file', 'qemu.trace-events'])
  test(`a pipe as --${option} is refused`, async (t) => {
    const pipe = join(temporaryFolder(t, 'stop'), 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(
      WebAgent.startCommand('run', ['--no-collector.kernel', '--qemu.log=/x', `--${option}=${pipe}`]),
      /pipe: not a regular file, so it cannot be read/,
    );
  });
