/**
 * Writes a log as QEMU does, one write per line, and rotates it meanwhile. Line N has cpu_index N % 4 and reason 2.
 * Run in a process of its own.
 *
 *   node log-writer.js PATH LINES_PER_SECOND SECONDS rename|truncate|none ROTATE_MS
 *
 * Prints the number of lines written and of rotations.
 */
import { closeSync, copyFileSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A thread id that cannot exist (PID_MAX_LIMIT is 4,194,304): in an hour of VMs, every possible id is used. */
const UNUSED_TID = 4_194_305;

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
    writeSync(file, `${UNUSED_TID}@1795395358.699146:kvm_run_exit cpu_index ${written % 4}, reason 2\n`);
  if (how !== 'none' && nowMs >= nextRotationMs) {
    nextRotationMs += rotateMs;
    rotate();
  }
  await sleep(2);
}
closeSync(file);
process.stdout.write(`${written} ${rotations}\n`);

/** Rotates as logrotate does, with or without copytruncate. */
function rotate(): void {
  rotations++;
  const old = `${path}.${rotations}`;
  if (how === 'truncate') {
    copyFileSync(path, old);
    ftruncateSync(file);
    return;
  }
  renameSync(path, old);
  // The writer still writes to the old file for a moment, while no file has the name.
  for (let i = 0; i < 50; i++, written++)
    writeSync(file, `${UNUSED_TID}@1795395358.699146:kvm_run_exit cpu_index ${written % 4}, reason 2\n`);
  closeSync(file);
  file = openSync(path, 'a');
}
