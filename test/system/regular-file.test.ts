import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTraceEvents } from '../../src/source/qemu/find-trace-events.js';
import { openRegularFile, tryReadRegularFile } from '../../src/system/regular-file.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('only a regular file is opened, and no symbolic link is followed below the folder', (t) => {
  const root = temporaryFolder(t, 'regular-file');
  mkdirSync(join(root, 'logs/a'), { recursive: true });
  writeFileSync(join(root, 'secret'), 'secret');
  writeFileSync(join(root, 'logs/a/vm.log'), 'log');
  symlinkSync(join(root, 'secret'), join(root, 'logs/link.log'));
  symlinkSync(root, join(root, 'logs/out'));
  symlinkSync('a', join(root, 'logs/inside'));
  execFileSync('mkfifo', [join(root, 'logs/fifo.log')]);
  symlinkSync(join(root, 'logs'), join(root, 'named'));
  const open = (folder: string, ...parts: string[]) => {
    const fd = openRegularFile(join(root, folder), parts);
    const text = readFileSync(fd, 'utf8');
    closeSync(fd);
    return text;
  };
  assert.equal(open('logs', 'a', 'vm.log'), 'log');
  // The user named this link.
  assert.equal(open('named', 'a', 'vm.log'), 'log');
  assert.throws(() => open('logs', 'link.log'), /a symbolic link/);
  assert.throws(() => open('logs', 'out', 'secret'), { code: 'ENOTDIR' });
  assert.throws(() => open('logs', 'inside', 'vm.log'), { code: 'ENOTDIR' });
  assert.throws(() => open('logs', 'fifo.log'), /not a regular file/);
  assert.throws(() => open('logs', 'a'), /not a regular file/);
  assert.throws(() => open('logs', 'none'), { code: 'ENOENT' });
  linkSync(join(root, 'logs/a/vm.log'), join(root, 'logs/second.log'));
  assert.equal(open('logs', 'second.log'), 'log');
});

test('a file of a terabyte is not read', (t) => {
  const root = temporaryFolder(t, 'regular-file');
  writeFileSync(join(root, 'trace-events-all'), 'a_b(void) ""\n');
  assert.equal(tryReadRegularFile(root, ['trace-events-all'], 1000), 'a_b(void) ""\n');
  truncateSync(join(root, 'trace-events-all'), 2 ** 40);
  assert.equal(tryReadRegularFile(root, ['trace-events-all'], 1000), undefined);
});

test('a pipe in the place of the list of events of a process is not waited for', (t) => {
  const root = temporaryFolder(t, 'regular-file');
  const share = join(root, '7/root/opt/share/qemu');
  mkdirSync(share, { recursive: true });
  symlinkSync('/opt/bin/qemu', join(root, '7/exe'));
  execFileSync('mkfifo', [join(share, 'trace-events-all')]);
  // The list of this host's QEMU, if it has one.
  assert.notEqual(findTraceEvents(root, 7)?.path, join(share, 'trace-events-all'));
  execFileSync('rm', [join(share, 'trace-events-all')]);
  writeFileSync(join(share, 'trace-events-all'), 'a_b(void) ""\n');
  assert.deepEqual(findTraceEvents(root, 7), {
    path: join(share, 'trace-events-all'),
    traceEvents: { events: [{ name: 'a_b', disabled: false }] },
  });
});
