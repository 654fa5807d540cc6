/**
 * Writes a log as QEMU does, one write a line, in a process of its own, while rotating it; line N says cpu_index N % 4, reason 2.
 *
 *   node log-writer.js PATH LINES_PER_SECOND SECONDS rename|truncate|none ROTATE_MS
 *
 * Prints how many lines it wrote.
 */
import { closeSync, copyFileSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** An id that no process can have (PID_MAX_LIMIT is 4,194,304): in an hour of VMs each that is possible comes by. */
const NOBODY = 4_194_305;

const [path = '', rateText = '', secondsText = '', how = '', rotateText = ''] = process.argv.slice(2);
const rate = Number(rateText);
const endMs = performance.now() + Number(secondsText) * 1000;
const rotateMs = Number(rotateText);

let file = openSync(path, 'a');
let written = 0;
let rotations = 0;
const startMs = performance.now();
let nextRotationMs = startMs + rotateMs;

for (let nowMs = startMs; nowMs < endMs; nowMs = performance.now()) {
  const due = Math.floor(((nowMs - startMs) / 1000) * rate);
  for (; written < due; written++)
    writeSync(file, `${NOBODY}@1795395358.699146:kvm_run_exit cpu_index ${written % 4}, reason 2\n`);
  if (how !== 'none' && nowMs >= nextRotationMs) {
    nextRotationMs += rotateMs;
    rotate();
  }
  await sleep(2);
}
closeSync(file);
process.stdout.write(`${written} ${rotations}\n`);

/** As logrotate does, with or without copytruncate. */
function rotate(): void {
  rotations++;
  const old = `${path}.${rotations}`;
  if (how === 'truncate') {
    copyFileSync(path, old);
    ftruncateSync(file);
    return;
  }
  renameSync(path, old);
  // For a moment the writer goes on with the old file, and there is none of that name.
  for (let i = 0; i < 50; i++, written++)
    writeSync(file, `${NOBODY}@1795395358.699146:kvm_run_exit cpu_index ${written % 4}, reason 2\n`);
  closeSync(file);
  file = openSync(path, 'a');
}
