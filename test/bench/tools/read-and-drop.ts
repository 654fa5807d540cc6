/**
 * Reads the ring buffers of a tracing instance by the calls that the agent makes, and drops what it reads: what an
 * agent would cost that neither decodes nor counts.
 *
 *   node build/test/bench/tools/read-and-drop.js /sys/kernel/tracing/instances/NAME 65536
 *
 * The number is the bytes of a sub-buffer.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BufferFile } from '../../../src/source/tracefs/trace-reader.js';

/** As long as the agent's longest pause while VMs run. */
const PERIOD_MS = 500;
/** The commit field of a page: see src/decode/ftrace/page-cursor.ts. Its upper bits are flags. */
const COMMIT_AT = 8;
const COMMIT_MASK = 0x3fffffff;

const [instance = '', bytes = ''] = process.argv.slice(2);
const page = Buffer.allocUnsafeSlow(Number(bytes));
const folder = join(instance, 'per_cpu');
const files = readdirSync(folder).map((cpu) => new BufferFile(join(folder, cpu, 'trace_pipe_raw')));

/** True if the page was full. Then the kernel has filled the next one meanwhile, or is about to. */
function readPage(file: BufferFile): boolean {
  return file.read(page) > 0 && (page.readUInt32LE(COMMIT_AT) & COMMIT_MASK) > page.length / 2;
}

setInterval(() => {
  for (const file of files) while (readPage(file));
}, PERIOD_MS);
