/**
 * Repeats the inputs that once broke a decoder, at every cut. They are in fixtures/fuzz, in a folder for each target.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fixture, readFixture } from '../support/fixtures.js';
import { TARGETS } from './targets.js';

describe('an input that the fuzzer found', () => {
  for (const [target, { check }] of TARGETS) {
    for (const name of findingsOf(target))
      it(`passes at every cut: ${target} ${name}`, () => {
        const bytes = readFixture(`fuzz/${target}/${name}`);
        for (let cut = 0; cut <= bytes.length; cut++) check(bytes, [cut / bytes.length]);
      });
  }

  it('exists', () => assert.ok(findingsOf('qemu-log').length > 0));
});

function findingsOf(target: string): string[] {
  const folders = readdirSync(fixture('fuzz'));
  return folders.includes(target) ? readdirSync(fixture(`fuzz/${target}`)) : [];
}
