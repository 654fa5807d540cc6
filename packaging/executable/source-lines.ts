/** Stack traces with the lines of the program's own files. */
import { SourceMap, type SourceMapping } from 'node:module';

const FOLDER = '/kvm-exit-exporter';
/** Path of the bundled program in stack traces. */
export const CODE_PATH = `${FOLDER}/main.js`;

const PLACE = new RegExp(`${CODE_PATH.replaceAll('.', '\\.')}:(\\d+):(\\d+)`, 'g');

/**
 * Replaces places in the bundle by those in the files that it is made of. Node.js does the same with
 * --enable-source-maps, but reads the map when it starts: 3 MB of memory for what is hardly ever printed.
 */
export function withSourceLines(stack: string, readMap: () => string): string {
  let map: SourceMap | undefined;
  return stack.replaceAll(PLACE, (place, line: string, column: string) => {
    map ??= new SourceMap(JSON.parse(readMap()));
    const found = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in found)) return place;
    const { originalSource, originalLine, originalColumn } = found as SourceMapping;
    return `${FOLDER}/${originalSource}:${originalLine + 1}:${originalColumn + 1}`;
  });
}
