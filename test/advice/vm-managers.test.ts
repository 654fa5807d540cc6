/** What the advice prints for KubeVirt and Proxmox, held against their own schemas (test/fixtures/settings). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { RULES } from '../../src/advice/rules.js';
import { readFixture, readJson } from '../support/fixtures.js';

interface Option {
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Values of the part before the first comma. */
  readonly first?: readonly string[];
  /** The parts `KEY=VALUE` after it. */
  readonly keys?: Readonly<Record<string, Option>>;
  /** Without it, a VM with this option does not start. */
  readonly needs?: string;
}

const FIELDS = new Map(
  readFixture('settings/kubevirt-domain.txt')
    .toString()
    .trimEnd()
    .split('\n')
    .map((line): [string, string] => [line.split(': ')[0] ?? '', line.split(': ')[1] ?? '']),
);
/** Fields of text -> the values that it may have. */
const VALUES = readJson<Readonly<Record<string, readonly string[]>>>('settings/kubevirt-values.json');
/** Fields of text that the user chooses. */
const NAMES = ['domain.devices.inputs[].name'];
const OPTIONS = readJson<Readonly<Record<string, Option>>>('settings/proxmox-options.json');

test('KubeVirt has every field that the advice prints, of this type and with this value', () => {
  let checked = 0;
  for (const { id, changes } of RULES)
    for (const setting of changes.kubevirt?.split('; ') ?? []) {
      const [path = '', ...value] = setting.split(': ');
      for (const { field, type, text } of fieldsOf(path, parse(value.join(': ')))) {
        assert.equal(FIELDS.get(field)?.replace(/\/.*/, ''), type, `${id}: ${field}`);
        if (text !== undefined && !NAMES.includes(field)) assert.ok(VALUES[field]?.includes(text), `${field}: ${text}`);
        checked++;
      }
    }
  assert.ok(checked > 30);
});

interface Field {
  readonly field: string;
  /** Type in JSON schema. */
  readonly type: string;
  /** Undefined if it is no text. */
  readonly text?: string;
}

/** Each field of a value. */
function fieldsOf(path: string, value: unknown): Field[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(`${path}[]`, item));
  if (typeof value === 'string') return [{ field: path, type: 'string', text: value }];
  if (typeof value !== 'object' || value === null)
    return [{ field: path, type: typeof value === 'number' ? 'integer' : typeof value }];
  const inner = Object.entries(value).flatMap(([key, each]) => fieldsOf(`${path}.${key}`, each));
  return [{ field: path, type: 'object' }, ...inner];
}

test('Proxmox has every option that the advice prints, and accepts its value', () => {
  let checked = 0;
  for (const { id, changes } of RULES) {
    if (changes.proxmox === undefined) continue;
    const [qm, set, vm, ...args] = changes.proxmox.split(' ');
    assert.deepEqual([qm, set, vm], ['qm', 'set', 'VMID']);
    for (let at = 0; at < args.length; at += 2) {
      const [name, value] = [args[at]?.replace(/^--/, '') ?? '', args[at + 1] ?? ''];
      const place = `${id}: --${name} ${value}`;
      if (name === 'delete') assert.ok(value in OPTIONS, place);
      else assertAccepted(OPTIONS[name], value, place);
      assert.ok(changes.proxmox.includes(OPTIONS[name]?.needs ?? ''), `${place} needs ${OPTIONS[name]?.needs}`);
      checked++;
    }
  }
  assert.ok(checked > 10);
});

function assertAccepted(option: Option | undefined, value: string, place: string): void {
  assert.ok(option !== undefined, place);
  if (option.keys !== undefined) {
    const [first = '', ...parts] = value.split(',');
    if (option.first !== undefined) assert.ok(option.first.includes(first), place);
    for (const part of parts) {
      const [key = '', inner = ''] = part.split('=');
      assertAccepted(option.keys[key], inner, place);
    }
    return;
  }
  if (option.enum !== undefined) assert.ok(option.enum.includes(value), place);
  if (option.pattern !== undefined) assert.match(value, new RegExp(`^(?:${option.pattern})$`), place);
  if (option.minimum !== undefined) assert.ok(Number(value) >= option.minimum, place);
  if (option.maximum !== undefined) assert.ok(Number(value) <= option.maximum, place);
}
