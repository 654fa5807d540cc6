/**
 * The executable alone, on a Debian without Node.js: copied there and started at once. The Debian shares the kernel of
 * this machine, with its processes, devices and VMs. EXPORTER_DEBIAN_ROOT is the folder of that Debian; see .ci/run.
 */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReportData } from '../../src/expose/report/report.js';
import { tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { DEBIAN, hasInDebian } from '../support/debian-root.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import { freshExecutable } from '../support/packages.js';
import { allOf, skipUnless } from '../support/requirements.js';

const COPY = '/usr/local/bin/kvm-exit-exporter';
const FOLDER = mkdtempSync(join(tmpdir(), 'one-file-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

const { path: EXECUTABLE, options: fresh } = await freshExecutable();
const NEEDED = allOf(fresh, liveTest('unshare'), skipUnless('debian-root', hasInDebian('usr/bin/dpkg')));

/** Everything that this mounts ends with the program. */
const SCRIPT = `
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/changes,workdir=$2/work" "$2/root"
for shared in proc sys dev; do mount --rbind "/$shared" "$2/root/$shared"; done
cd "$2/root"; shift 2; exec chroot . "$@"`;

function inDebian(...command: string[]): SpawnSyncReturns<string> & { readonly seconds: string } {
  const startMs = performance.now();
  const script = ['--mount', 'sh', '-ec', SCRIPT, 'sh', DEBIAN, FOLDER, ...command];
  const result = spawnSync('unshare', script, { encoding: 'utf8', timeout: 300_000 });
  return { ...result, seconds: ((performance.now() - startMs) / 1000).toFixed(2) };
}

test('copied to a Debian without Node.js, it checks the host and counts a VM', NEEDED, async (t) => {
  for (const name of ['root', 'work', 'changes/usr/local/bin'])
    mkdirSync(join(FOLDER, name), { recursive: true, mode: 0o755 });
  copyFileSync(EXECUTABLE, join(FOLDER, 'changes', COPY));
  assert.notEqual(inDebian('sh', '-c', 'command -v node').status, 0);

  const guest = startGuest({ name: 'one-file', steps: [{ forever: { out: 0x80 } }] });
  while (guest.writesDone() === 0) await sleep(50);
  const check = inDebian(COPY, 'check');
  assert.equal(check.status, 0, check.stdout + check.stderr);
  assert.match(check.stdout, new RegExp(`^ok {4}VM {14}one-file: qemu, pid ${guest.pid}, `, 'm'));

  const instance = uniqueInstance();
  const before = guest.writesDone();
  const stat = inDebian(COPY, 'stat', '1s', '--format=json', '--vm=one-file', `--tracefs.instance=${instance}`);
  const meanwhile = guest.writesDone() - before;
  assert.equal(stat.status, 0, stat.stderr);
  const { totals, io } = JSON.parse(stat.stdout) as ReportData;
  const [vm] = totals;
  const exits = vm?.qemu_exits ?? 0;
  // The guest counts a write after its exit, so one may be under way.
  assert.ok(exits > 100 && exits <= meanwhile + 1, `${exits} of ${meanwhile}; ${stat.stderr}`);
  assert.deepEqual(
    io.filter(({ layer }) => layer === 'qemu').map(({ address, count }) => [address, count]),
    [['0x80', exits]],
  );
  assert.ok(!tracingInstances().includes(instance));
  t.diagnostic(`check ${check.seconds} s, stat 1s ${stat.seconds} s`);
});
