import { Names } from '../../../src/trace/names.js';
import type { Vocabulary } from '../../../src/trace/sink.js';

/** New, empty name tables. */
export function newVocabulary(): Vocabulary {
  return { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
}
