/**
 * The agent on an emulated arm64 KVM host, compared with KVM's own statistics. The variable ARMHOST is the program that
 * boots such a host and runs a shell script in it as root: `ARMHOST [-t seconds] -p FOLDER SCRIPT`. The host has
 * FOLDER at /proj, Node.js, tracefs, debugfs, /dev/kvm, and the VMM that arm64-counts.ts describes. The exit code is
 * that of the script, or 125 if the host crashed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/paths.js';
import { skipUnless } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const { ARMHOST = '' } = process.env;
const SECONDS = 400;
const HOST_DIED = 125;
const MAX_TRIES = 2;

/** The compiled program, and the executable that `npm run package` made. */
const PROGRAMS = [
  { name: 'the program', at: undefined },
  { name: 'the executable', at: 'build/package/kvm-exit-exporter-linux-arm64' },
] as const;

for (const { name, at } of PROGRAMS) {
  const isThere = at === undefined || existsSync(join(ROOT, at));
  const options = isThere ? skipUnless('armhost', ARMHOST !== '') : { skip: `needs ${at}: npm run package` };

  test(`on arm64, ${name} counts per VM and reason as the guests and KVM do`, options, (t) => {
    const script = join(temporaryFolder(t, 'armhost'), 'script');
    const chosen = at === undefined ? '' : `EXPORTER_TEST_PROGRAM=/proj/${at} `;
    writeFileSync(script, `${chosen}node /proj/${relative(ROOT, join(import.meta.dirname, 'arm64-counts.js'))}\n`);
    for (let tries = 1; ; tries++) {
      const args = ['-t', String(SECONDS), '-p', ROOT, script];
      const { status, stdout, stderr } = spawnSync(ARMHOST, args, { encoding: 'utf8' });
      if (status === HOST_DIED && tries < MAX_TRIES) continue;
      for (const line of stdout.split('\n')) t.diagnostic(line);
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      return;
    }
  });
}
