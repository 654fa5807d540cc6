/** Recordings that are no files, or have some in them: `report` says so within seconds, and never waits. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, type TestContext, test } from 'node:test';
import { endAll } from '../support/end-later.js';
import { fixture } from '../support/fixtures.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { needs, type Requirement } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { Tmux } from '../support/tmux.js';

afterEach(endAll);

/** Much longer than the program takes on a busy machine: a program that waits does so for ever. */
const TIMEOUT_MS = 60_000;

const STREAM = /: a stream, which waits for more instead of ending; save a part of it to a file, or /;
const NO_FILE = /: not a regular file; save its content to a file, or give it on standard input: report -$/;
const NO_PAGES = /: is a directory without pages/;

function pipe(folder: string, name: string): string {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  return path;
}

/** Returns the path for `report`. */
type Prepare = (t: TestContext) => string;

const CASES: readonly (readonly [string, Prepare, RegExp, ...Requirement[]])[] = [
  ['the log of the kernel', () => '/proc/kmsg', STREAM, 'root'],
  ['a device that has no end', () => '/dev/zero', NO_FILE],
  ['a link to such a device', (t) => link(t, '/dev/zero'), NO_FILE],
  ['a terminal', () => '/dev/tty', NO_FILE],
  ['a directory', (t) => temporaryFolder(t, 'special'), NO_PAGES],
  ['a pipe', (t) => pipe(temporaryFolder(t, 'special'), 'a'), NO_FILE],
  ['the pipe of the kernel’s trace', () => '/sys/kernel/tracing/trace_pipe', STREAM, 'root', 'tracefs'],
  ['a directory of perf that has a pipe for its data', (t) => folderWith(t, 'data'), NO_PAGES],
  ['a directory of pages that has a pipe', (t) => pagesWith(t, (folder) => pipe(folder, 'raw/cpu9.raw')), NO_FILE],
  ['a directory of pages that has a device', (t) => pagesWith(t, (at) => endless(at, 'raw/cpu9.raw')), NO_FILE],
];

function link(t: TestContext, target: string): string {
  const path = join(temporaryFolder(t, 'special'), 'link');
  symlinkSync(target, path);
  return path;
}

function folderWith(t: TestContext, name: string): string {
  const folder = temporaryFolder(t, 'special');
  pipe(folder, name);
  return folder;
}

function endless(folder: string, name: string): void {
  symlinkSync('/dev/zero', join(folder, name));
}

/** A copy of a recording, changed. */
function pagesWith(t: TestContext, change: (folder: string) => void): string {
  const folder = join(temporaryFolder(t, 'special'), 'pages');
  cpSync(fixture('svm/two-vms-6.12'), folder, { recursive: true });
  change(folder);
  return folder;
}

function reportOf(path: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(PROGRAM, [...PROGRAM_ARGS, 'report', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  return { status, stdout, stderr };
}

describe('report refuses', () => {
  for (const [what, prepare, message, ...requirements] of CASES)
    test(what, needs(...requirements), (t) => {
      const { status, stdout, stderr } = reportOf(prepare(t));
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' }, stderr);
      assert.match(stderr.trimEnd(), message);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
});

const VM = '178';

test('pipes and devices in the /proc of a recording, which anyone may have made, are not waited for', (t) => {
  const changed = pagesWith(t, (folder) => {
    let pid = 900_000;
    for (const file of ['cmdline', 'cgroup', 'status', 'stat'])
      for (const put of [pipe, endless]) {
        const copy = join(folder, 'proc', String(pid++));
        cpSync(join(folder, 'proc', VM), copy, { recursive: true });
        rmSync(join(copy, file));
        put(copy, file);
      }
  });
  const [whole, report] = [fixture('svm/two-vms-6.12'), changed].map(reportOf);
  assert.equal(report?.status, 0, report?.stderr);
  assert.equal(report?.stdout.split('\n')[0], whole?.stdout.split('\n')[0]);
});

test('report - refuses a terminal', needs('tmux'), async () => {
  const terminal = new Tmux(120, 10);
  await terminal.until('READY');
  terminal.line([PROGRAM, ...PROGRAM_ARGS, 'report', '-'].join(' '));
  await terminal.until(/standard input: is a terminal; name a file, or send a recording: kvm-exit-exporter report - </);
});
