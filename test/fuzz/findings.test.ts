/** Inputs that once broke a decoder, each below the name of its target in fixtures/fuzz: they must not again, wherever they are cut. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fixture, readFixture } from '../support/fixtures.js';
import { TARGETS } from './targets.js';

describe('what the fuzzer found', () => {
  for (const [target, { check }] of TARGETS) {
    for (const name of findingsOf(target))
      it(`(${target} ${name}) holds at every cut`, () => {
        const bytes = readFixture(`fuzz/${target}/${name}`);
        for (let cut = 0; cut <= bytes.length; cut++) check(bytes, [cut / bytes.length]);
      });
  }

  it('is there', () => assert.ok(findingsOf('qemu-log').length > 0));
});

function findingsOf(target: string): string[] {
  const folders = readdirSync(fixture('fuzz'));
  return folders.includes(target) ? readdirSync(fixture(`fuzz/${target}`)) : [];
}
