/**
 * Makes a program of Node.js run a full garbage collection at SIGUSR2, and note what is left. By itself V8 does that
 * about once in half an hour, and an agent with a heap of more than 32 MiB no more often. What is not collected looks
 * like growth. A line of the notes:
 *
 *   {"heapBytes":36012344,"compiledBytes":9211904}
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { HANG_MS } from '../support/patience.js';

/** The heap just after a full garbage collection. */
export interface Collected {
  readonly heapBytes: number;
  /**
   * Code that V8 has compiled, with its tables. V8 compiles a function again when it has run often enough, and for
   * some functions this takes hours.
   */
  readonly compiledBytes: number;
}

const collectOnSigusr2 = (notes: string) => `
  import { appendFileSync } from 'node:fs';
  import { getHeapCodeStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => {
    collect();
    const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
    const left = { heapBytes: getHeapStatistics().used_heap_size, compiledBytes: code + bytecode };
    appendFileSync(${JSON.stringify(notes)}, JSON.stringify(left) + '\\n');
  });`;

/**
 * Command that runs the program. A word of it has no single quote, so a shell takes it in single quotes.
 * @param notes path of the file for notes; default: none are taken
 */
export function collecting(notes = '/dev/null'): readonly string[] {
  const script = encodeURIComponent(collectOnSigusr2(notes)).replaceAll("'", '%27');
  return ['env', `NODE_OPTIONS=--import=data:text/javascript,${script}`];
}

/** Has a program that takes notes collect its garbage. Returns what is left. */
export async function collect(program: Pick<ChildProcess, 'kill'>, notes: string): Promise<Collected> {
  const before = notesIn(notes).length;
  program.kill('SIGUSR2');
  for (const endMs = Date.now() + HANG_MS; Date.now() < endMs; await sleep(50)) {
    const note = notesIn(notes)[before];
    if (note !== undefined) return JSON.parse(note) as Collected;
  }
  throw new Error('the program does not collect its garbage');
}

function notesIn(notes: string): string[] {
  return existsSync(notes) ? (readFileSync(notes, 'utf8').match(/.+\n/g) ?? []) : [];
}
