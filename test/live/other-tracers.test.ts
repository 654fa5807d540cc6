/**
 * The agent beside other users of ftrace on this host: a second agent, another tracing instance, the top-level buffer.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { runAgentToEnd, startAgent, TRACEFS, tracingInstances } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { assertCountsExactly, ioExits, PORT_WRITES, UNTIL_KNOWN, writesInAll } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';

afterEach(endAll);

/** Files with the settings of the top-level instance. */
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

function topLevelSettings(): Record<string, string> {
  const files = SETTINGS.map((name) => join(TRACEFS, name)).filter(existsSync);
  return Object.fromEntries(files.map((file) => [file, readFileSync(file, 'utf8')]));
}

test(
  'a second agent with the same instance is refused with one line that names the remedy, and the first continues',
  liveTest(),
  async () => {
    const first = await startAgent();
    const { code, stderr } = await runAgentToEnd([`--tracefs.instance=${first.instance}`]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^kvm-exit-exporter: .*in use.*--tracefs.instance=${first.instance}-2\\n$`));
    const second = await startAgent({ instance: `${first.instance}-2` });
    const guest = startGuest({ name: 'seen-by-two', steps: [...UNTIL_KNOWN, ...writesInAll(PORT_WRITES)] });
    for (const agent of [first, second])
      await agent.scrapeUntil('the guest', (samples) => ioExits(samples, 'seen-by-two') > 0);
    guest.goOn();
    await guest.finished();
    for (const agent of [first, second])
      await agent.scrapeUntil('all exits', (samples) => ioExits(samples, 'seen-by-two') === PORT_WRITES + 1);
    await second.stop();
    await first.stop();
  },
);

test('the instance cannot be removed while the agent reads it', liveTest(), async () => {
  const agent = await startAgent();
  assert.throws(() => rmdirSync(join(TRACEFS, 'instances', agent.instance)), { code: 'EBUSY' });
  await agent.stop();
});

test('the agent never changes the settings of the top-level buffer', liveTest(), async () => {
  const before = topLevelSettings();
  assert.ok(Object.keys(before).length > 4);
  const agent = await startAgent();
  assert.deepEqual(topLevelSettings(), before);
  await startGuest({ name: 'top-level', steps: [{ out: 0x80, times: 5000 }] }).finished();
  assert.deepEqual(topLevelSettings(), before);
  await agent.stop();
  assert.deepEqual(topLevelSettings(), before);
});

test('another tracing instance records the same exits at the same time', liveTest(), async () => {
  const agent = await startAgent();
  const other = join(TRACEFS, 'instances', `${agent.instance}-other`);
  mkdirSync(other);
  try {
    writeFileSync(join(other, 'buffer_size_kb'), '8192');
    writeFileSync(join(other, 'events/kvm/kvm_userspace_exit/enable'), '1');
    await assertCountsExactly(agent, 'traced-by-two', 20_000);
    const lines = readFileSync(join(other, 'trace'), 'utf8').match(/kvm_userspace_exit: .*KVM_EXIT_IO/g);
    // The other instance also records guests that do not belong to this test.
    assert.ok((lines?.length ?? 0) >= 20_001, `the other instance has ${lines?.length}`);
  } finally {
    writeFileSync(join(other, 'events/enable'), '0');
    rmdirSync(other);
  }
  await agent.stop();
});

test(
  'another user gets a message that says what is missing, and no instance is left behind',
  liveTest('setpriv'),
  async (t) => {
    const asOtherUser = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    try {
      execFileSync(asOtherUser[0] ?? '', [...asOtherUser.slice(1), 'test', '-r', MAIN]);
    } catch {
      return t.skip('other users cannot read this checkout');
    }
    const before = foreignInstances();
    const { code, stderr } = await runAgentToEnd([], asOtherUser);
    assert.equal(code, 2);
    assert.match(stderr, /^kvm-exit-exporter: .*root.*\n$/);
    assert.deepEqual(foreignInstances(), before);
  },
);

/** Tracing instances without those of tests, which may run at the same time. */
function foreignInstances(): string[] {
  return tracingInstances().filter((name) => !name.startsWith('kvm-exit-exporter-test-'));
}
