import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { latin1, Names, OTHER } from '../../src/trace/names.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const intern = (names: Names, text: string): number => names.intern(bytes(text), 0, text.length);

describe('Names', () => {
  it('assigns small dense ids, the first to other', () => {
    const names = new Names();
    assert.deepEqual(
      ['a', 'b', 'a', OTHER, 'c'].map((name) => names.id(name)),
      [1, 2, 1, 0, 3],
    );
    assert.deepEqual(
      [0, 1, 2, 3, 4, -1].map((id) => names.text(id)),
      [OTHER, 'a', 'b', 'c', OTHER, OTHER],
    );
    assert.equal(names.size, 4);
  });

  it('finds a spelling by its exact bytes', () => {
    const names = new Names();
    const id = intern(names, 'kvm_exit');
    const line = bytes('x kvm_exit: kvm_exi kvm_exit2');
    assert.equal(names.find(line, 2, 10), id);
    assert.equal(names.find(line, 12, 19), -1);
    assert.equal(names.find(line, 20, 29), -1);
    assert.equal(names.find(line, 3, 10), -1);
    assert.equal(names.text(id), 'kvm_exit');
  });

  it('accepts several spellings for one name, which are not names themselves', () => {
    const names = new Names();
    const id = names.id('io');
    const spelling = bytes('EXIT_IOIO');
    names.teach(spelling, 0, spelling.length, id);
    assert.equal(names.find(spelling, 0, spelling.length), id);
    assert.equal(names.id('EXIT_IOIO'), id + 1);
  });

  it('keeps the first meaning of a spelling', () => {
    const names = new Names();
    const [first, second] = [names.id('one'), names.id('two')];
    const spelling = bytes('x');
    names.teach(spelling, 0, 1, first);
    names.teach(spelling, 0, 1, second);
    assert.equal(names.find(spelling, 0, 1), first);
  });

  it('does not keep the caller’s bytes', () => {
    const names = new Names();
    const buffer = bytes('abc');
    const id = names.intern(buffer, 0, 3);
    buffer.fill(0x78);
    assert.equal(names.find(bytes('abc'), 0, 3), id);
    assert.equal(names.find(buffer, 0, 3), -1);
  });

  it('holds no more names than its limit; the rest is other', () => {
    const names = new Names(4);
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e', 'a'].map((name) => intern(names, name)),
      [1, 2, 3, 0, 0, 1],
    );
    assert.equal(names.size, 4);
  });

  it('holds at most four spellings for each name of its limit', () => {
    const names = new Names(4);
    const spellings = Array.from({ length: 40 }, (_, index) => bytes(`s${index}`));
    for (const spelling of spellings) names.teach(spelling, 0, spelling.length, 1);
    const known = spellings.filter((spelling) => names.find(spelling, 0, spelling.length) >= 0);
    assert.equal(known.length, 16);
  });

  it('assigns a name that is too long to other', () => {
    const names = new Names();
    const [fits, long] = ['n'.repeat(128), 'n'.repeat(129)];
    assert.equal(intern(names, long), 0);
    assert.ok(intern(names, fits) > 0);
    assert.equal(names.text(intern(names, fits)), fits);
    assert.equal(intern(names, long), 0);
  });

  it('accepts names that are properties of every object', () => {
    const names = new Names();
    const words = ['__proto__', 'constructor', 'toString', ''];
    assert.deepEqual(
      words.map((word) => intern(names, word)),
      [1, 2, 3, 4],
    );
    assert.deepEqual(
      [1, 2, 3, 4].map((id) => names.text(id)),
      words,
    );
  });

  it('assigns one id to each name of any set', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: 'binary-ascii', maxLength: 12 }), { maxLength: 600 }), (texts) => {
        const wanted = texts.filter((text) => text !== OTHER);
        const names = new Names();
        const ids = wanted.map((text) => intern(names, text));
        assert.deepEqual(
          ids,
          wanted.map((_, index) => index + 1),
        );
        for (const [index, text] of wanted.entries()) {
          assert.equal(names.find(bytes(`<${text}>`), 1, 1 + text.length), index + 1);
          assert.equal(names.text(index + 1), text);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('latin1', () => {
  it('reads a byte as a character, up to the longest name', () => {
    assert.equal(latin1(Uint8Array.from([0x78, 0xe9, 0xff, 0x41]), 1, 4), 'éÿA');
    assert.equal(latin1(new Uint8Array(1000).fill(0x61), 0, 1000).length, 128);
    assert.equal(latin1(Uint8Array.of(1), 0, 0), '');
  });
});
