/**
 * Source maps that have the lines of the program only, in place of every word of it and of its packages, which would be
 * ten times as long.
 *
 * A map's `mappings` are segments: columns of the generated code, separated by `,`, and by `;` at the end of a line.
 * A segment is up to five numbers in VLQ, each but the first as the difference from the segment before: generated
 * column (from the one before in the line), source, line, column, name.
 */
interface SourceMapV3 {
  readonly sources: readonly string[];
  readonly mappings: string;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The map with one segment for each run of code from one line, and one without a source where a package's begins. */
export function linesOnly(text: string): string {
  const map: SourceMapV3 = JSON.parse(text);
  const isOwn = map.sources.map((source) => !source.includes('node_modules/'));
  const last = { source: 0, line: 0 };
  let [source, line] = [0, 0];
  const mappings = map.mappings.split(';').map((segments) => {
    let [column, lastColumn, shown] = [0, 0, ''];
    const kept: string[] = [];
    for (const segment of segments === '' ? [] : segments.split(',')) {
      const [columns = 0, sources = 0, lines = 0] = decoded(segment);
      column += columns;
      source += sources;
      line += lines;
      const place = isOwn[source] === true ? `${source}:${line}` : 'package';
      if (place === shown) continue;
      shown = place;
      const numbers = [column - lastColumn];
      lastColumn = column;
      if (place !== 'package') {
        numbers.push(source - last.source, line - last.line, 0);
        Object.assign(last, { source, line });
      }
      kept.push(numbers.map(encoded).join(''));
    }
    return kept.join(',');
  });
  return JSON.stringify({ ...map, names: [], mappings: mappings.join(';') });
}

function decoded(segment: string): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const char of segment) {
    const digit = DIGITS.indexOf(char);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

function encoded(number: number): string {
  let rest = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = '';
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += DIGITS[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return text;
}
