/** Configuration on pages: the programs that it is for accept it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseWebConfig } from '../../src/web/access/parse-web-config.js';
import { pages } from '../support/markdown.js';
import { codeBlocksOf } from '../support/markdown-code.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BLOCKS = pages().flatMap(codeBlocksOf);
const beginningWith = (start: RegExp) => BLOCKS.filter(({ text }) => start.test(text.replaceAll(/^#.*\n/gm, '')));

test('promtool accepts the configurations for Prometheus', needs('promtool'), (t) => {
  const blocks = beginningWith(/^(?:scrape_configs|rule_files):/);
  assert.ok(blocks.length >= 4);
  for (const [index, { page, text }] of blocks.entries()) {
    const file = join(temporaryFolder(t, 'promtool'), `prometheus-${index}.yml`);
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', '--syntax-only', file], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${page}: ${stdout}${stderr}`);
  }
});

test('the program accepts the web configuration file', () => {
  const blocks = beginningWith(/^tls_server_config:/);
  assert.equal(blocks.length, 1);
  for (const { text } of blocks) {
    // Salt and hash have 53 characters, which the page leaves out.
    const config = parseWebConfig('web.yml', text.replace('...', 'x'.repeat(53)));
    assert.deepEqual([...config.users.keys()], ['prometheus']);
  }
});

test('the bases and components of kustomizations exist', () => {
  const named = pages().flatMap(({ path, text }) =>
    [...text.matchAll(/github\.com\/(?:[\w-]+\/){2}(deploy\/\S+)\?ref=/g)].map(([, folder = '']) => ({ path, folder })),
  );
  assert.ok(named.length >= 8);
  assert.deepEqual(
    named.filter(({ folder }) => !existsSync(join(ROOT, folder, 'kustomization.yaml'))),
    [],
  );
  for (const { page, text } of beginningWith(/^(?:apiVersion|components|exec):/))
    assert.doesNotThrow(() => parse(text), page);
});

test('commands to QEMU are JSON', () => {
  const commands = BLOCKS.flatMap(({ text }) =>
    [...text.matchAll(/'(\{"execute".*\})'/g)].map(([, json = '']) => json),
  );
  assert.ok(commands.length >= 3);
  for (const command of commands) assert.doesNotThrow(() => JSON.parse(command), command);
});
