/** Text out of saved web pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextCleaner } from '../../../src/decode/text/clean-text.js';

/** Cleans a file that comes in chunks of `size` bytes. */
function clean(file: string, size: number): string {
  const bytes = Buffer.from(file);
  let text = '';
  const cleaner = new TextCleaner((chunk) => {
    text += Buffer.from(chunk).toString();
  });
  for (let at = 0; at < bytes.length; at += size) cleaner.push(bytes.subarray(at, at + size));
  cleaner.end();
  return text;
}

const LINE = '<idle>-0 [001] 1.000001: kvm_entry: vcpu 0';
const AS_REFERENCES = '&lt;idle&gt;-0&nbsp;[001] 1.000001: <b>kvm_entry</b>: vcpu&#32;0';

for (const size of [1, 7, 1 << 16])
  test(`elements and references of a page are taken out, in chunks of ${size}`, () => {
    const page = `<pre class="x">${AS_REFERENCES}<br/>${AS_REFERENCES}</pre>\n&amp;lt; &bogus; &#999; a < b\n`.padEnd(
      80,
    );
    assert.deepEqual(
      clean(page, size)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
      [LINE, LINE, '&lt; &bogus; &#999; a < b'],
    );
  });

test('a trace that begins with the idle task, or with a thread without a name, is no page', () => {
  for (const line of [LINE, '<...>-4711 [001] 1.000001: kvm_entry: vcpu 0']) {
    const file = `${line} &lt; <br>\n`.repeat(4);
    assert.equal(clean(file, 1 << 16), file);
  }
});
