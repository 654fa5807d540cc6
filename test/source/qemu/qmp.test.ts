import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Qmp } from '../../../src/source/qemu/qmp.js';
import { AgentError } from '../../../src/system/errors.js';
import { HANG_MS } from '../../support/patience.js';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n';
const EVENT = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n';

/** A QEMU that answers each command as the test wants, and keeps the lines that it received. */
async function startQemu(
  t: TestContext,
  answers: (command: string) => string | undefined,
  greeting = GREETING,
): Promise<{ path: string; received: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'qmp-'));
  const path = join(folder, 'socket');
  const received: string[] = [];
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.write(greeting);
    client.on('data', (data) => {
      for (const line of data.toString().trim().split('\n')) {
        received.push(line);
        const answer = answers(String(JSON.parse(line).execute));
        if (answer !== undefined) client.write(answer);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  t.after(() => {
    for (const client of clients) client.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { path, received };
}

const OK = '{"return": {}}\r\n';

test('states are queried and set, while QEMU sends events in between', async (t) => {
  const { path, received } = await startQemu(t, (command) =>
    command === 'trace-event-get-state'
      ? `${EVENT}{"return": [{"vcpu": false, "name": "kvm_run_exit", "state": "disabled"}]}\r\n`
      : `${EVENT}${OK}`,
  );
  const qmp = await Qmp.connect(path);
  assert.deepEqual(
    (await qmp.states('kvm_run_exit')).map(({ name, state }) => [name, state]),
    [['kvm_run_exit', 'disabled']],
  );
  await qmp.setState('kvm_run_exit', true);
  qmp.close();
  assert.deepEqual(received, [
    '{"execute":"qmp_capabilities"}',
    '{"execute":"trace-event-get-state","arguments":{"name":"kvm_run_exit"}}',
    '{"execute":"trace-event-set-state","arguments":{"name":"kvm_run_exit","enable":true,"ignore-unavailable":false}}',
  ]);
});

test("QEMU's error message is passed on", async (t) => {
  const { path } = await startQemu(t, (command) =>
    command === 'qmp_capabilities' ? OK : '{"error": {"class": "GenericError", "desc": "unknown event \\"x\\""}}\r\n',
  );
  const qmp = await Qmp.connect(path);
  await assert.rejects(qmp.states('x'), new AgentError(`${path}: trace-event-get-state: unknown event "x"`));
  qmp.close();
});

test('a socket that is silent, not QMP, or missing is reported as such', async (t) => {
  const silent = await startQemu(t, () => undefined, '');
  await assert.rejects(Qmp.connect(silent.path, 200), /no greeting; the socket may be in use .*within 0.2 s/);
  // On a busy machine the greeting, too, may be late.
  const mute = await startQemu(t, () => undefined);
  for (let tries = 0; mute.received.length === 0 && tries < 10; tries++)
    await assert.rejects(Qmp.connect(mute.path, 200), (error: Error) => {
      const isLate = mute.received.length === 0 && /no greeting/.test(error.message);
      return isLate || /no answer to qmp_capabilities \(within 0.2 s\)/.test(error.message);
    });
  assert.ok(mute.received.length > 0);
  const other = await startQemu(t, () => OK, '220 mail.example.org ESMTP\r\n');
  await assert.rejects(Qmp.connect(other.path), /not a QMP socket/);
  const folder = mkdtempSync(join(tmpdir(), 'qmp-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await assert.rejects(Qmp.connect(join(folder, 'none')), /none: no such file/);
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(Qmp.connect(join(folder, 'file')), /file: no QEMU listens there|not a socket/);
});

test('closing the connection ends a pending command', async (t) => {
  const { path } = await startQemu(t, (command) => (command === 'qmp_capabilities' ? OK : undefined));
  const qmp = await Qmp.connect(path);
  const states = qmp.states('*');
  qmp.close();
  const again = await Qmp.connect(path);
  const pending = assert.rejects(again.states('*'), /no answer|closed/);
  await Promise.race([states.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 10))]);
  again.close();
  await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, 100))]);
});

test('answers that were not asked for end the connection', async (t) => {
  const { path } = await startQemu(t, () => OK, GREETING + OK.repeat(100));
  await assert.rejects(async () => {
    const qmp = await Qmp.connect(path);
    for (let commands = 0; commands < 100; commands++) await qmp.identity();
  }, /answers what it was not asked/);
});

for (const [name, piece] of [
  ['one text', 'x'.repeat(1 << 20)],
  ['events', EVENT.repeat(1000)],
  ['nested lists', '['.repeat(1 << 20)],
] as const)
  test(`an answer of ${name} without end is given up after 8 MB`, async (t) => {
    let written = 0;
    const folder = mkdtempSync(join(tmpdir(), 'qmp-'));
    const path = join(folder, 'socket');
    const server = createServer((client) => {
      const send = () => {
        while (!client.destroyed && client.write(piece)) written += piece.length;
      };
      client.on('error', () => {}).on('drain', send);
      client.write(GREETING);
      send();
    });
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    t.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    await assert.rejects(Qmp.connect(path, HANG_MS), AgentError);
    // 8 MB, and what the socket and one read hold.
    assert.ok(written < 16 << 20, `${written} bytes were read`);
  });

for (const [name, values] of [
  ['empty objects', '{},'.repeat(2_000_000)],
  ['nested lists', `${'['.repeat(500_000)}${']'.repeat(500_000)},`],
  ['numbers', '1,'.repeat(500_000)],
  ['objects with a name each', Array.from({ length: 200_000 }, (_, index) => `{"k${index}":1},`).join('')],
] as const)
  test(`an answer of very many ${name} is not parsed`, async (t) => {
    const { path } = await startQemu(t, (command) =>
      command === 'qmp_capabilities' ? OK : `{"return": [${values}0]}\r\n`,
    );
    const qmp = await Qmp.connect(path, HANG_MS);
    await assert.rejects(qmp.query('query-stats'), { name: 'AgentError', message: /too many values$/ });
    qmp.close();
  });

test('an answer about 512 vCPUs with all statistics and histograms is parsed', async (t) => {
  const buckets = Array.from({ length: 64 }, () => 1_000_000);
  const values = Array.from({ length: 60 }, (_, index) => ({ name: `statistic_${index}`, value: 1_000_000 + index }));
  const histograms = Array.from({ length: 3 }, (_, index) => ({ name: `histogram_${index}`, value: buckets }));
  const stats = [...values, ...histograms];
  const vcpus = Array.from({ length: 512 }, (_, index) => ({
    provider: 'kvm',
    'qom-path': `/machine/${index}`,
    stats,
  }));
  const { path } = await startQemu(t, (command) =>
    command === 'qmp_capabilities' ? OK : `${JSON.stringify({ return: vcpus })}\r\n`,
  );
  const qmp = await Qmp.connect(path, HANG_MS);
  assert.deepEqual(await qmp.query('query-stats'), vcpus);
  qmp.close();
});

test('a long reason is cut', async (t) => {
  const { path } = await startQemu(t, (command) =>
    command === 'qmp_capabilities' ? OK : `{"error": {"class": "X", "desc": "${'x'.repeat(1 << 20)}"}}\r\n`,
  );
  const qmp = await Qmp.connect(path);
  await assert.rejects(qmp.states('a'), ({ message }: Error) => message.length < 1000 && message.includes('xxx'));
  qmp.close();
});
