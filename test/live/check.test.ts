/** `check` on this host, and with the least that `run` needs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { tracingInstances } from '../support/agent/agent.js';
import { runAgent } from '../support/agent/run-agent.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const LIVE = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu'), timeout: 60_000 };

/** Lines that are neither `ok` nor expected here. */
function problems(stdout: string): string[] {
  return stdout
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('ok'));
}

test('check finds on this host all that run needs, and its VM', LIVE, async () => {
  const before = tracingInstances();
  const guest = startGuest({ name: 'vm-check', steps: [{ forever: { out: 0x80 } }] });
  try {
    let result = runAgent('check');
    // It takes a moment until its vCPU thread has its name.
    for (let tries = 0; tries < 10 && !/vm-check: .* known: 1/.test(result.stdout); tries++) result = runAgent('check');
    const { status, stdout, stderr } = result;
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /^FAIL/m);
    assert.match(stdout, /^ok {4}tracefs {9}\S+: instances can be made and removed$/m);
    assert.match(stdout, /^ok {4}ring buffers {4}binary: \d{2,} formats understood/m);
    assert.match(
      stdout,
      new RegExp(`^ok {4}VM {14}vm-check: qemu, pid ${guest.pid}, vCPU threads known: 1, trace backends: [a-z]+`, 'm'),
    );
  } finally {
    await guest.kill();
  }
  assert.deepEqual(
    tracingInstances().filter((name) => name.startsWith('kvm-exit-exporter-check')),
    [],
  );
  assert.deepEqual(
    before.filter((name) => name.startsWith('kvm-exit-exporter-check')),
    [],
  );
});

const SETPRIV = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'setpriv'), timeout: 60_000 };

function checkAs(...setpriv: string[]): { status: number | null; stdout: string } {
  return spawnSync('setpriv', [...setpriv, process.execPath, MAIN, 'check'], { encoding: 'utf8' });
}

test('check as root without any capability finds all that run needs', SETPRIV, () => {
  const { status, stdout } = checkAs('--bounding-set=-all', '--inh-caps=-all');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^ok {4}user {12}uid 0, no capabilities; none is needed$/m);
});

test('check as somebody else says that tracefs is not theirs', SETPRIV, () => {
  const { status, stdout } = checkAs('--reuid=65534', '--clear-groups');
  assert.equal(status, 2);
  assert.match(stdout, /^warn {2}user .*run as root/m);
  assert.deepEqual(problems(stdout).filter((line) => line.startsWith('FAIL')).length, 1);
  assert.match(stdout, /^FAIL {2}tracefs /m);
});
