/** Answers of `report` that pages show are what it prints of recordings in this repository. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { pages } from '../support/markdown.js';
import { codeBlocksOf } from '../support/markdown-code.js';
import { ROOT } from '../support/paths.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const DEMO = join(ROOT, 'deploy/demo/recording');
const PROC = `--path.procfs=${join(DEMO, 'proc')}`;
/** Processes of the demo's two VMs, in their whole recording. */
const WEB = 165;
const DB = 167;

/** The whole recording of the demo as one file for each VM. */
function filePerVm(t: TestContext): string[] {
  const folder = temporaryFolder(t, 'samples');
  const lines = readFixture('demo/full/trace_pipe.txt.gz').toString('latin1').split('\n');
  return [WEB, DB].map((pid) => {
    const file = join(folder, `${pid}.txt`);
    writeFileSync(file, lines.filter((line) => line.includes(`(    ${pid})`)).join('\n'), 'latin1');
    return file;
  });
}

const OF_DEMO = () => [PROC, join(DEMO, 'trace_pipe.txt.gz')];

interface Sample {
  readonly page: string;
  /** First line. */
  readonly begins: string;
  /** Arguments of `report`. */
  readonly args: (t: TestContext) => string[];
}

const SAMPLES: readonly Sample[] = [
  { page: 'README.md', begins: '$ kvm-exit-exporter report ', args: OF_DEMO },
  { page: 'docs/recordings.md', begins: '22 s: ', args: OF_DEMO },
  { page: 'docs/recordings.md', begins: 'What to change', args: OF_DEMO },
  {
    page: 'docs/recordings.md',
    begins: "Checked against KVM's own statistics",
    args: () => [fixture('svm/two-vms-6.12')],
  },
  {
    page: 'docs/recordings.md',
    begins: 'kvm-exit-exporter report --diff before.dat after.dat',
    args: (t) => ['--diff', PROC, ...filePerVm(t)],
  },
];

const isCommand = (line: string) => /^(?:\$ )?kvm-exit-exporter /.test(line);

for (const { page, begins, args } of SAMPLES)
  test(`the sample of ${page} that begins with "${begins}" is what report prints`, (t) => {
    const blocks = pages()
      .filter(({ path }) => path === page)
      .flatMap(codeBlocksOf)
      .filter(({ text }) => text.startsWith(begins));
    assert.equal(blocks.length, 1);
    const printed = runAgent('report', ...args(t)).stdout.split('\n');
    const shown = (blocks[0]?.text ?? '').split('\n').filter((line) => !isCommand(line));
    assert.ok(shown.some((line) => line !== ''));
    assert.deepEqual(
      shown.filter((line) => !printed.includes(line)),
      [],
    );
  });
