/** Others trace on this host too: a second agent, trace-cmd, whoever uses the top-level buffer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { runAgentToEnd, startAgent, TRACEFS, tracingInstances } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, PORT_WRITES } from '../support/guest/agent-checks.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import { needs, type Requirement } from '../support/requirements.js';

const live = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  timeout: 60_000,
});

afterEach(endAll);

/** What the top-level instance is set to. */
const SETTINGS = [
  'tracing_on',
  'current_tracer',
  'set_event',
  'trace_clock',
  'buffer_size_kb',
  'buffer_subbuf_size_kb',
  'trace_options',
  'set_event_pid',
];

function topLevel(): Record<string, string> {
  const files = SETTINGS.map((name) => join(TRACEFS, name)).filter(existsSync);
  return Object.fromEntries(files.map((file) => [file, readFileSync(file, 'utf8')]));
}

test(
  'a second agent under the same name is refused with one line that tells the way out, and the first goes on',
  live(),
  async () => {
    const first = await startAgent();
    const { code, stderr } = await runAgentToEnd([`--tracefs.instance=${first.instance}`]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^kvm-exit-exporter: .*in use.*--tracefs.instance=${first.instance}-2\\n$`));
    const second = await startAgent({ instance: `${first.instance}-2` });
    await startGuest({ name: 'seen-by-two', steps: [{ out: 0x80, times: PORT_WRITES }] }).finished();
    for (const agent of [first, second])
      await agent.scrapeUntil('its exits', (samples) => ioExits(samples, 'seen-by-two') === PORT_WRITES + 1);
    await second.stop();
    await first.stop();
  },
);

test('nobody can remove the instance while the agent reads it', live(), async () => {
  const agent = await startAgent();
  assert.throws(() => rmdirSync(join(TRACEFS, 'instances', agent.instance)), { code: 'EBUSY' });
  await agent.stop();
});

test('the settings of the top-level buffer are as before, at all times', live(), async () => {
  const before = topLevel();
  assert.ok(Object.keys(before).length > 4);
  const agent = await startAgent();
  assert.deepEqual(topLevel(), before);
  await startGuest({ name: 'top-level', steps: [{ out: 0x80, times: 5000 }] }).finished();
  assert.deepEqual(topLevel(), before);
  await agent.stop();
  assert.deepEqual(topLevel(), before);
});

test('another tracing instance gets the same exits at the same time', live(), async () => {
  const agent = await startAgent();
  const other = join(TRACEFS, 'instances', `${agent.instance}-other`);
  mkdirSync(other);
  try {
    writeFileSync(join(other, 'buffer_size_kb'), '8192');
    writeFileSync(join(other, 'events/kvm/kvm_userspace_exit/enable'), '1');
    const guest = startGuest({ name: 'traced-by-two', steps: [{ out: 0x80, times: 20_000 }] });
    await agent.scrapeUntil('20,001 exits', (samples) => ioExits(samples, 'traced-by-two') === 20_001);
    await guest.finished();
    const lines = readFileSync(join(other, 'trace'), 'utf8').match(/kvm_userspace_exit: .*KVM_EXIT_IO/g);
    // It may have seen guests of others too.
    assert.ok((lines?.length ?? 0) >= 20_001, `the other one has ${lines?.length}`);
  } finally {
    writeFileSync(join(other, 'events/enable'), '0');
    rmdirSync(other);
  }
  await agent.stop();
});

test('any other user is told what is missing, and nothing is left behind', {
  ...needs('setpriv'),
  ...live(),
}, async (t) => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  try {
    execFileSync(nobody[0] ?? '', [...nobody.slice(1), 'test', '-r', MAIN]);
  } catch {
    return t.skip('nobody else may read this checkout');
  }
  const before = instancesOfOthers();
  const { code, stderr } = await runAgentToEnd([], nobody);
  assert.equal(code, 2);
  assert.match(stderr, /^kvm-exit-exporter: .*root.*\n$/);
  assert.deepEqual(instancesOfOthers(), before);
});

/** Without those of tests that run at the same time. */
function instancesOfOthers(): string[] {
  return tracingInstances().filter((name) => !name.startsWith('kvm-exit-exporter-test-'));
}
