import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { qemuBackends } from '../../../src/source/qemu/backends.js';

/** Texts in binaries of QEMU 7.2 (log, simple, ftrace), and BARE as tracetool of later releases generates it. */
const LOG = '\0%d@%zu.%06zu:kvm_run_exit cpu_index %d, reason %d\n\0kvm_run_exit cpu_index %d, reason %d\n\0';
const BARE = '\0kvm_run_exit cpu_index %d, reason %d\n\0';
const SIMPLE = '\0Trace file "%s" %s.\n\0trace-%d\0';
const FTRACE = `\0Could not open ftrace 'trace_marker' file\0${BARE}`;

const CASES: readonly { name: string; content: string; backends: readonly string[] }[] = [
  { name: 'nothing', content: '\x7fELF kvm_run_exit', backends: [] },
  { name: 'log', content: LOG, backends: ['log'] },
  { name: 'log without a prefix (later releases)', content: BARE, backends: ['log'] },
  { name: 'simple', content: SIMPLE, backends: ['simple'] },
  { name: 'ftrace alone', content: FTRACE, backends: ['ftrace'] },
  { name: 'log, simple and ftrace', content: LOG + SIMPLE + FTRACE, backends: ['log', 'simple', 'ftrace'] },
  { name: 'dtrace and ust', content: '\0.note.stapsdt\0liblttng-ust.so.1\0', backends: ['dtrace', 'ust'] },
];

for (const { name, content, backends } of CASES) {
  test(`qemuBackends finds ${name} anywhere in the file`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'backends-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'qemu');
    for (const before of [0, 1, (1 << 20) - 20, (1 << 20) - 3, 3 << 20]) {
      writeFileSync(path, Buffer.concat([Buffer.alloc(before), Buffer.from(content, 'latin1')]));
      assert.deepEqual(qemuBackends(path), backends, `${before} bytes before`);
    }
  });
}

test('qemuBackends returns undefined for a file that cannot be read', () => {
  assert.equal(qemuBackends('/proc/self/no-such-file'), undefined);
});
