/** `check` on this host, and with the fewest rights that `run` needs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgent } from '../support/agent/run-agent.js';
import { tracingInstances } from '../support/agent/start-agent.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const DEBUGFS = '/sys/kernel/debug/kvm';

test('check finds everything that run needs on this host, and a running VM', liveTest(), async () => {
  const before = tracingInstances();
  const guest = startGuest({ name: 'vm-check', steps: [{ forever: { out: 0x80 } }] });
  try {
    // QEMU takes a moment to create its vCPU thread and to name it.
    while (guest.writesDone() === 0) await sleep(20);
    let result = runAgent('check');
    for (let tries = 0; tries < 100 && !/vm-check: .* known: 1/.test(result.stdout); tries++)
      result = runAgent('check');
    const { status, stdout, stderr } = result;
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /^FAIL/m);
    assert.match(stdout, /^ok {4}tracefs {9}\S+: instances can be made and removed$/m);
    assert.match(stdout, /^ok {4}ring buffers {4}binary: \d{2,} formats understood/m);
    assert.match(stdout, /^ok {4}buffer memory {3}[\d.]+ MiB for each of \d+ CPUs, [\d.]+ MiB in all/m);
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

test("check says where each VM's statistics come from", liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'check');
  const steps = [{ forever: { out: 0x80 } }];
  const socket = `${folder}/one.sock`;
  const one = startGuest({ name: 'with-qmp', steps, extraArgs: ['-qmp', `unix:${socket},server=on,wait=off`] });
  const two = startGuest({ name: 'without-qmp', steps });
  const args = ['check', `--qemu.qmp=${folder}/*.sock`, `--qemu.qmp=${folder}/missing`];
  while (one.writesDone() === 0 || two.writesDone() === 0) await sleep(20);
  let result = runAgent(...args);
  for (let tries = 0; tries < 100 && !/with-qmp: over QMP/.test(result.stdout); tries++) result = runAgent(...args);
  const isOpen = [one, two].map(({ pid }) => {
    const folder = readdirSync(DEBUGFS).find((name) => name.startsWith(`${pid}-`));
    return canRead(`${DEBUGFS}/${folder}/exits`);
  });
  await one.kill();
  await two.kill();
  const lines = result.stdout.split('\n').filter((line) => / statistics /.test(line));
  const lineOf = (vm: string) => lines.find((line) => line.includes(` ${vm}: `)) ?? '';
  const overQmp = /^ok .*over QMP \(.*one\.sock\), for each vCPU/;
  assert.match(lineOf('with-qmp'), overQmp);
  assert.match(lineOf('with-qmp'), isOpen[0] ? /vCPU$/ : /; debugfs: kernel lockdown closes debugfs$/);
  assert.match(lineOf('without-qmp'), isOpen[1] ? /^ok .*from debugfs/ : /^warn .*kernel lockdown closes debugfs/);
  assert.ok(
    lines.some((line) => /^warn .*missing: no such file/.test(line)),
    lines.join('\n'),
  );
});

function canRead(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

const SETPRIV = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'setpriv'), timeout: 300_000 };

function checkAs(...setpriv: string[]): { status: number | null; stdout: string } {
  return spawnSync('setpriv', [...setpriv, process.execPath, MAIN, 'check'], { encoding: 'utf8' });
}

test('check as root without capabilities finds everything that run needs', SETPRIV, () => {
  const { status, stdout } = checkAs('--bounding-set=-all', '--inh-caps=-all');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^ok {4}user {12}uid 0, no capabilities; none is needed$/m);
});

test('check as another user reports that tracefs is not accessible', SETPRIV, () => {
  const { status, stdout } = checkAs('--reuid=65534', '--clear-groups');
  assert.equal(status, 2);
  assert.match(stdout, /^warn {2}user .*run as root/m);
  // A VM of another program on this host may name no thread of a vCPU.
  assert.equal(stdout.match(/^FAIL {2}(?!vCPU numbers)/gm)?.length, 1, stdout);
  assert.match(stdout, /^FAIL {2}tracefs /m);
});
