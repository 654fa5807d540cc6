const MARKS: ReadonlySet<number> = new Set(Array.from('{[,:', (mark) => mark.charCodeAt(0)));
/** An answer of QEMU about 512 vCPUs with all statistics has some 320,000. */
const MAX_MARKS = 400_000;

/**
 * True if a JSON text from outside has too many values. It is parsed in one piece: 7 MB of small objects take a second
 * and 160 MB of memory, and as many marks as are allowed take 140 ms at most. Marks within texts count, too.
 */
export function hasTooManyValues(json: string, maxMarks = MAX_MARKS): boolean {
  let marks = 0;
  for (let at = 0; at < json.length; at++) if (MARKS.has(json.charCodeAt(at))) marks++;
  return marks > maxMarks;
}
