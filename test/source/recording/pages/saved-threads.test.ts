import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readSavedThreads } from '../../../../src/source/recording/pages/saved-threads.js';

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'saved-threads-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

test('readSavedThreads combines names and processes of threads', (t) => {
  const folder = folderWith(t, {
    saved_cmdlines: '187 CPU 0/KVM\n195 kvm-pit/178\n17 <...>\n',
    saved_tgids: '178 178\n187 178\n',
  });
  assert.deepEqual(readSavedThreads(folder), [
    { tid: 187, tgid: 178, comm: 'CPU 0/KVM' },
    { tid: 195, tgid: -1, comm: 'kvm-pit/178' },
    { tid: 17, tgid: -1, comm: '' },
    { tid: 178, tgid: 178, comm: '' },
  ]);
});

test('readSavedThreads is empty if nothing was saved, and skips other lines', (t) => {
  assert.deepEqual(readSavedThreads(join(folderWith(t, {}), 'not-there')), []);
  const folder = folderWith(t, { saved_cmdlines: 'x\n-1 y\n\0\n7 \n', saved_tgids: '7 0\n7\n' });
  assert.deepEqual(readSavedThreads(folder), [{ tid: 7, tgid: -1, comm: '' }]);
});
