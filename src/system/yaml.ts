import type { Document, LineCounter, YAMLParseError } from 'yaml';
import { AgentError } from './errors.js';
import { requireYaml } from './program/program-files.js';

/** Brackets inside each other, or columns before the first word of a line. */
const MAX_DEPTH = 100;
/** Larger than any file of settings, smaller than what takes long to parse. */
const MAX_LENGTH = 1 << 17;
const DEEP_LINE = new RegExp(`^[ \\t?:-]{${MAX_DEPTH}}`, 'm');

/** The library, loaded when it is needed: that takes a tenth of the time of a short report. */
export function yamlLibrary(): typeof import('yaml') {
  return requireYaml();
}

/**
 * Parses YAML in which every scalar stays the text that it is in the file (the failsafe schema). The library's own
 * warnings do not go to stderr. Mistakes are in the result's `errors`.
 * @throws AgentError if the text cannot be settings: it is too long, or has too many levels. The library is recursive,
 *   and its regular expressions end the process if they find no stack.
 */
export function parseYaml(path: string, text: string, lineCounter: LineCounter): Document.Parsed {
  if (text.length > MAX_LENGTH) throw new AgentError(`${path}: larger than ${MAX_LENGTH} bytes; is it the right file?`);
  if (isTooDeep(text)) throw new AgentError(`${path}: too many levels inside each other; is it the right file?`);
  const options = { schema: 'failsafe', prettyErrors: false, logLevel: 'error', lineCounter } as const;
  // The library would compare each key with all keys before it.
  const document = yamlLibrary().parseDocument(text, { ...options, uniqueKeys: false });
  document.errors.push(...repeatedKeys(document));
  return document;
}

function isTooDeep(text: string): boolean {
  let open = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    if (bracket === '[' || bracket === '{') open++;
    else open = Math.max(0, open - 1);
    if (open > MAX_DEPTH) return true;
  }
  return DEEP_LINE.test(text);
}

function repeatedKeys(document: Document.Parsed): YAMLParseError[] {
  const { isScalar, visit, YAMLParseError } = yamlLibrary();
  const errors: YAMLParseError[] = [];
  visit(document, {
    Map(_key, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const [start = 0, end = 0] = key.range ?? [];
        if (seen.has(key.value))
          errors.push(new YAMLParseError([start, end], 'DUPLICATE_KEY', 'Map keys must be unique'));
        seen.add(key.value);
      }
    },
  });
  return errors;
}
