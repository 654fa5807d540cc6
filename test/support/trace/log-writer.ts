/**
 * Writes a log as QEMU does, one write per line, and rotates it meanwhile. Line N has cpu_index N % 4 and reason 2.
 * Run in a process of its own.
 *
 *   node log-writer.js PATH LINES_PER_SECOND SECONDS rename|truncate|none ROTATE_MS
 *
 * The times are those of a machine that has a CPU for it: on a busy one it writes the same lines in more time. A parent
 * with an IPC channel sends `Date.now()` while it follows the log. As long as that process is held up, nothing is
 * written, and the log is rotated only just after it was heard.
 *
 * Prints the number of lines written and of rotations.
 */
import { closeSync, copyFileSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A thread id that cannot exist (PID_MAX_LIMIT is 4,194,304): in an hour of VMs, every possible id is used. */
const UNUSED_TID = 4_194_305;

const [path = '', rateText = '', secondsText = '', how = '', rotateText = ''] = process.argv.slice(2);
const rate = Number(rateText) / 1000;
const lines = rate * Number(secondsText) * 1000;
const linesPerRotation = rate * Number(rotateText);

/** What a process that had no CPU for longer than this does not make up for. */
const MAX_LATE_MS = 20;
/** Time after the follower's latest message in which lines are written, and in which the log is rotated. */
const WRITE_WITHIN_MS = 500;
const ROTATE_WITHIN_MS = 100;

let followedMs = process.connected ? 0 : Number.POSITIVE_INFINITY;
process.on('message', (nowMs) => {
  followedMs = Number(nowMs);
});
const isFollowed = (withinMs: number) => Date.now() - followedMs < withinMs;

let file = openSync(path, 'a');
let written = 0;
let rotations = 0;
let due = 0;

for (let beforeMs = performance.now(); written < lines; await sleep(2)) {
  const nowMs = performance.now();
  due += Math.min(nowMs - beforeMs, MAX_LATE_MS) * rate;
  beforeMs = nowMs;
  if (!isFollowed(WRITE_WITHIN_MS)) due = 0;
  for (; due >= 1; due--) writeLine();
  if (how !== 'none' && written >= (rotations + 1) * linesPerRotation && isFollowed(ROTATE_WITHIN_MS)) rotate();
}
closeSync(file);
process.stdout.write(`${written} ${rotations}\n`);
if (process.connected) process.disconnect();

function writeLine(): void {
  writeSync(file, `${UNUSED_TID}@1795395358.699146:kvm_run_exit cpu_index ${written++ % 4}, reason 2\n`);
}

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
  for (let i = 0; i < 50; i++) writeLine();
  closeSync(file);
  file = openSync(path, 'a');
}
