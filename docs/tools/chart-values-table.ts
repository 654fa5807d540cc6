/** The table of the Helm chart's values, from the comments of its values.yaml. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';
import { markdownTable } from './markdown-table.js';

const VALUES = join(import.meta.dirname, '../../../deploy/helm/kvm-exit-exporter/values.yaml');

export function chartValuesTable(): string {
  const { contents } = parseDocument(readFileSync(VALUES, 'utf8'));
  if (!isMap(contents)) throw new Error(`${VALUES}: not a map`);
  return markdownTable(['value', 'default', 'meaning'], rowsOf(contents, ''));
}

/** One row for each value with a comment. A map without comments inside is one value. */
function rowsOf(map: YAMLMap, prefix: string): string[][] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`${prefix}: a key is not a text`);
    const name = `${prefix}${key.value}`;
    // The parser gives the comment above the first key to the map.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    if (isMap(value) && hasComments(value)) return rowsOf(value, `${name}.`);
    if (comment == null) throw new Error(`${name}: no comment`);
    const meaning = comment.split('\n').map((line) => line.trim());
    return [[`\`${name}\``, `\`${JSON.stringify(value)}\``, meaning.join(' ')]];
  });
}

function hasComments(map: YAMLMap): boolean {
  return (
    map.commentBefore != null ||
    map.items.some(({ key, value }) => commentOf(key) || (isMap(value) && hasComments(value)))
  );
}

function commentOf(key: unknown): boolean {
  return isScalar(key) && key.commentBefore != null;
}
