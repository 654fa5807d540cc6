import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ProcessList } from '../../../src/vm/host/process-list.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A /proc of which only the process ids matter. `ids`: those of the reader, in each namespace from outside inwards. */
function procfs(t: TestContext, ids: string) {
  const root = temporaryFolder(t, 'process-list');
  mkdirSync(join(root, 'self'));
  writeFileSync(join(root, 'self/status'), `Name:\tnode\nNSpid:\t${ids}\nNSpgid:\t${ids}\n`);
  return {
    root,
    start(pid: number): void {
      mkdirSync(join(root, String(pid)));
      this.setLatest(pid);
    },
    setLatest(id: number): void {
      writeFileSync(join(root, 'loadavg'), `0.40 0.64 0.77 1/91 ${id}\n`);
    },
    end(pid: number): void {
      rmSync(join(root, String(pid)), { recursive: true });
    },
  };
}

const sorted = (pids: readonly number[] | undefined) => [...(pids ?? [])].sort((a, b) => a - b);

test('processes are listed again as soon as the kernel has given out an id', (t) => {
  const host = procfs(t, '200');
  host.start(100);
  const list = new ProcessList(host.root);
  assert.deepEqual(sorted(list.read()), [100]);
  host.start(201);
  assert.deepEqual(sorted(list.read()), [100, 201]);
  host.end(100);
  host.setLatest(202); // a thread
  assert.deepEqual(sorted(list.read()), [201]);
});

test('as long as nothing was started, the folder is read every fifth time', (t) => {
  const host = procfs(t, '200');
  host.start(100);
  host.start(101);
  const list = new ProcessList(host.root);
  list.read();
  host.end(100);
  const lists = Array.from({ length: 6 }, () => sorted(list.read()).length);
  assert.deepEqual(lists, [2, 2, 2, 2, 1, 1]);
});

test('the folder is always read if its ids are not those that the kernel reports, or it reports none', (t) => {
  for (const [ids, hasLoad] of [
    ['31200 7', true],
    ['200', false],
  ] as const) {
    const host = procfs(t, ids);
    host.start(100);
    if (!hasLoad) rmSync(join(host.root, 'loadavg'));
    const list = new ProcessList(host.root);
    assert.deepEqual(sorted(list.read()), [100]);
    mkdirSync(join(host.root, '101'));
    assert.deepEqual(sorted(list.read()), [100, 101], ids);
  }
});
