/** The scripts of `completion`, in real shells: what they offer is what --help lists. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runAgent } from '../../support/agent/run-agent.js';
import { ROOT } from '../../support/paths.js';
import { needs, type Requirement } from '../../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'completion-'));
after(() => rmSync(FOLDER, { recursive: true }));
// The folder with one file, for completion of file names.
writeFileSync(join(FOLDER, 'trace.dat'), '');

const help = (...args: string[]) => runAgent(...args, '--help').stdout;
const COMMANDS = [...help().matchAll(/^ {2}([a-z]+)(?: [^\n]*)?\n {8}/gm)].map(([, name = '']) => name);
const DRIVERS = join(ROOT, 'test/config/completion');

/** The flags that the help of a command lists, without the dashes. */
function flagsInHelp(command: string): string[] {
  const lines = help(command).split('\n');
  return lines.flatMap((line) => {
    const [, no = '', flag] = /^ {2}(?:-\w \S+, )?--(\[no-\])?([\w.-]+)/.exec(line) ?? [];
    if (flag === undefined) return [];
    return flag === 'help' ? ['help', 'licenses', 'version'] : no === '' ? [flag] : [flag, `no-${flag}`];
  });
}

function scriptOf(shell: Requirement): string {
  const path = join(FOLDER, shell);
  writeFileSync(path, runAgent('completion', shell).stdout);
  return path;
}

/** How each shell is asked for what it would complete: its program, its driver, and the words that it offers. */
const SHELLS = ['bash', 'zsh', 'fish'] as const;

for (const shell of SHELLS) {
  const here = needs(shell);
  const script = here.skip === false ? scriptOf(shell) : '';
  const offers = (line: string): string[] => {
    const driver = join(DRIVERS, `complete.${shell}`);
    const { stdout, stderr, status } = spawnSync(shell, [driver, script, line, join(FOLDER, 'words')], {
      encoding: 'utf8',
      cwd: FOLDER,
      timeout: 300_000,
    });
    assert.deepEqual([status, stderr], [0, ''], `${shell}: ${line}`);
    const words = (shell === 'zsh' ? readFileSync(join(FOLDER, 'words'), 'utf8') : stdout).split('\n');
    return [...new Set(words.filter((word) => word !== ''))].sort();
  };

  test(`${shell} offers the options of each command that --help lists`, here, () => {
    assert.ok(COMMANDS.length >= 7);
    for (const command of COMMANDS) {
      const words = offers(`kvm-exit-exporter ${command} --`);
      assert.deepEqual(words.map((word) => word.replace(/^--|=$/g, '')).sort(), flagsInHelp(command).sort(), command);
    }
  });

  test(`${shell} offers the commands, and the options of run without one`, here, () => {
    assert.deepEqual(offers('kvm-exit-exporter '), [...COMMANDS, 'help'].sort());
    assert.ok(offers('kvm-exit-exporter --web.l').some((word) => word.startsWith('--web.listen-address')));
  });

  test(`${shell} offers values and files`, here, () => {
    assert.deepEqual(offers('kvm-exit-exporter report --format '), ['csv', 'json', 'prometheus', 'table']);
    assert.deepEqual(
      offers('kvm-exit-exporter report --format=j').map((word) => word.replace(/^--format=/, '')),
      ['json'],
    );
    assert.deepEqual(offers('kvm-exit-exporter completion '), ['bash', 'fish', 'zsh']);
    assert.deepEqual(offers('kvm-exit-exporter help rec'), ['record']);
    assert.deepEqual(offers('kvm-exit-exporter report tr'), ['trace.dat']);
    assert.deepEqual(offers('kvm-exit-exporter record -o tr'), ['trace.dat']);
    assert.deepEqual(offers('kvm-exit-exporter report --advice.disable hpe'), ['hpet']);
  });
}

test('a shell without a script is an error', () => {
  const { status, stderr } = runAgent('completion', 'bas');
  assert.deepEqual([status, stderr], [2, 'kvm-exit-exporter: unknown shell bas; did you mean bash?\n']);
});

test('completion without a shell names the shells', () => {
  const { status, stderr } = runAgent('completion');
  assert.deepEqual([status, stderr], [2, 'kvm-exit-exporter: completion needs bash|zsh|fish\n']);
});
