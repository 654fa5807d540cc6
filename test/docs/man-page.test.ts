/** The man page, formatted by man. That it is up to date is checked in docs.test.ts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const PAGE = join(ROOT, 'docs/kvm-exit-exporter.1');

test('man formats the page without a warning, and it has every option and command of --help', needs('man'), () => {
  const { status, stdout, stderr } = spawnSync('man', ['--warnings', '--encoding=UTF-8', '--local-file', PAGE], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '5000', MAN_KEEP_FORMATTING: '', GROFF_NO_SGR: '1', LC_ALL: 'C.UTF-8' },
  });
  assert.deepEqual([status, stderr], [0, '']);
  // In bold and italics, a character stands twice with a backspace between.
  const words = new Set(stdout.replace(/.[\b]/g, '').split(/\s+/));
  const help = runAgent('--help').stdout;
  const options = [...help.matchAll(/^ {2}(?:-\w \S+, )?(--\S+)$/gm)].map(([, option = '']) => option);
  const commands = [...help.matchAll(/^ {2}([a-z]+)(?: [^\n]*)?\n {8}/gm)].map(([, command = '']) => command);
  assert.ok(options.length > 50 && commands.length > 7);
  assert.deepEqual(
    [...options, ...commands].filter((word) => !words.has(word)),
    [],
  );
});
