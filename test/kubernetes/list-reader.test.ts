import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListReader } from '../../src/kubernetes/list-reader.js';

function read(text: string, size: number, limits = { item: 1000, outline: 1000 }) {
  const reader = new ListReader(limits);
  const items: string[] = [];
  for (let at = 0; at < text.length; at += size) {
    const part = reader.read(text.slice(at, at + size));
    let next = part.next();
    for (; next.done !== true; next = part.next()) items.push(next.value);
    if (!next.value) return 'too long';
  }
  return { items, outline: reader.outline };
}

const ITEMS = [
  { metadata: { name: 'a "quoted" \\ name', labels: { '}': '{[,]}', x: ['{', { y: [] }] } } },
  { metadata: {} },
  {},
];
const LIST = {
  kind: 'PodList',
  metadata: { resourceVersion: '1', more: [{ a: 1 }, 2] },
  items: ITEMS,
  after: ['x', 'y'],
};

for (const [name, text] of [
  ['compact', JSON.stringify(LIST)],
  ['indented', JSON.stringify(LIST, undefined, 2)],
] as const)
  test(`a ${name} list in chunks of any size`, () => {
    for (let size = 1; size < 60; size++) {
      const result = read(text, size);
      assert.ok(typeof result !== 'string');
      assert.deepEqual(
        result.items.map((item) => JSON.parse(item)),
        ITEMS,
      );
      const outline = JSON.parse(result.outline.replace(/"x"\s*"y"/, '"x","y"'));
      assert.deepEqual(outline, { ...LIST, items: [] });
    }
  });

test('an item or an outline beyond its limit ends the reading', () => {
  const text = `{"items":[{"a":"${'x'.repeat(2000)}"}]}`;
  assert.equal(read(text, 7), 'too long');
  assert.equal(read(text, 5000), 'too long');
  assert.equal(read(`{"a":"${'x'.repeat(2000)}`, 7), 'too long');
  assert.equal(read('['.repeat(2000), 100), 'too long');
});

test('text that is no list has no items', () => {
  for (const text of ['', 'null', '[{"a":1}]', '{"items":{}}', '}}}}{', '"', '{"items":[[{}]]}']) {
    const result = read(text, 3);
    assert.ok(typeof result !== 'string');
    assert.deepEqual(result.items, [], text);
  }
});
