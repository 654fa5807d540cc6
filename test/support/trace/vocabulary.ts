/** Fresh, empty name tables. */
import { Names } from '../../../src/trace/names.js';
import type { Vocabulary } from '../../../src/trace/sink.js';

export function newVocabulary(): Vocabulary {
  return { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
}
