import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { mountPointOf } from '../../../src/source/tracefs/find-tracefs.js';
import { MAIN } from '../../support/paths.js';
import { needs } from '../../support/requirements.js';

test('mountPointOf finds tracefs in a list of mounts', () => {
  const mounts = [
    'proc /proc proc rw,nosuid 0 0',
    'debugfs /sys/kernel/debug debugfs rw,relatime 0 0',
    'nodev /sys/kernel/tracing tracefs rw,relatime 0 0',
    '',
  ];
  assert.equal(mountPointOf(mounts.join('\n')), '/sys/kernel/tracing');
  assert.equal(mountPointOf(mounts.slice(0, 2).join('\n')), undefined);
  assert.equal(mountPointOf('tracefs /mnt xfs rw 0 0\n'), undefined);
});

test(
  'the message for another user says root, and not that tracefs is not mounted',
  needs('root', 'tracefs', 'setpriv'),
  () => {
    const args = ['--reuid', '65534', '--clear-groups', process.execPath, MAIN, 'run'];
    const { status, stderr } = spawnSync('setpriv', args, { encoding: 'utf8' });
    assert.deepEqual(
      [status, stderr],
      [2, "kvm-exit-exporter: /sys/kernel/tracing: only root can read the kernel's tracing; run it as root\n"],
    );
  },
);
