/**
 * Lines that a terminal or a mail program has broken, and times with the decimal comma of a locale. Each trace is one
 * of test/fixtures/public, and has the right answer of that trace.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFixture, readJson } from '../../support/fixtures.js';
import { type Counts, tallyOf } from '../../support/trace/recording-tally.js';

const TRACES = ['70-two-vms-no-tgid', '31-bug220549-perf-612', '99-min-stale', '08-arm64-kvmtool'];

/** In the middle of words, as `tmux capture-pane` and `script` show long lines. */
function brokenByTerminal(line: string, width: number): string {
  return line.match(new RegExp(`.{1,${width}}`, 'g'))?.join('\n') ?? '';
}

/** At the last blank before the width, which is left out. */
function brokenByMail(line: string, width: number): string {
  const at = line.length > width ? line.lastIndexOf(' ', width) : -1;
  return at <= 40 ? line : `${line.slice(0, at)}\n${brokenByMail(line.slice(at + 1), width)}`;
}

const CHANGES: Readonly<Record<string, (line: string) => string>> = {
  'broken at 80 columns by a terminal': (line) => brokenByTerminal(line, 80),
  'broken at 100 columns by a terminal': (line) => brokenByTerminal(line, 100),
  'broken at 120 columns by a terminal': (line) => brokenByTerminal(line, 120),
  'broken at 72 columns by a mail program': (line) => brokenByMail(line, 72),
  'with a decimal comma': (line) => line.replace(/(\d)\.(\d{6}):/, '$1,$2:'),
};

for (const name of TRACES)
  for (const [change, apply] of Object.entries(CHANGES))
    test(`${name}, ${change}`, () => {
      const lines = readFixture(`public/${name}.txt`).toString('latin1').trimEnd().split('\n');
      const { kvm, qemu, malformedLines } = tallyOf(Buffer.from(`${lines.map(apply).join('\n')}\n`, 'latin1'));
      const want = readJson<{ readonly kvm: Counts; readonly qemu: Counts }>(`public/${name}.expected.json`);
      assert.deepEqual({ kvm, qemu }, { kvm: want.kvm, qemu: want.qemu });
      // The text of one of its events, which perf could not format, is broken into three lines: that is said.
      assert.ok(malformedLines <= (name.startsWith('31-') ? 1 : 0), `${malformedLines} malformed lines`);
    });
