/** The README names every metric and every option, as the tables in the code have them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPTIONS, type Option } from '../src/config/options.js';
import { CATALOGUE } from '../src/count/catalogue.js';
import { ROOT } from './support/fixtures.js';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const cell = (text: string) => text.replaceAll('|', '\\|');

test('the README has a row for each metric', () => {
  for (const { name, type, labels, help } of CATALOGUE) {
    assert.ok(README.includes(`| \`${name}\` | ${type} | ${labels.join(', ')} | ${cell(help)} |`), name);
  }
});

test('the README has a row for each option', () => {
  for (const option of OPTIONS as readonly Option[]) {
    const flag = `--${option.type === 'boolean' ? '[no-]' : ''}${option.flag}${option.value ? `=${cell(option.value)}` : ''}`;
    const row = `| \`${flag}\` | ${option.default ?? ''} | ${option.commands.join(', ')} | ${cell(option.help)} |`;
    assert.ok(README.includes(row), flag);
  }
});
