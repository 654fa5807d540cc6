import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeInJson, printable } from '../../src/system/printable.js';

const NAME = 'a\x1b[2J\x9b1m\u202eb\u2066c\u200bd\u{e0041}\u2028e';

test('characters that act on a terminal are replaced, or escaped where the value must stay the same', () => {
  for (const safe of [printable(NAME), escapeInJson(JSON.stringify({ NAME }))])
    assert.doesNotMatch(safe, /[\p{Cc}\p{Cf}\u2028]/u);
  assert.deepEqual(JSON.parse(escapeInJson(JSON.stringify({ NAME }))), { NAME });
  assert.equal(printable('Größe 名前'), 'Größe 名前');
});
