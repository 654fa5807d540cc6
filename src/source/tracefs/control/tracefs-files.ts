/**
 * Everything that this program writes to tracefs: control files, and the folder that makes or removes a tracing
 * instance.
 *
 * Source: Documentation/trace/ftrace.rst, kernel/trace/trace.c (Linux 6.18). `buffer_subbuf_size_kb` exists from 6.8
 * on.
 */
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, errnoOf, errnoReason } from '../../../system/errors.js';
import { tryReadText } from '../../../system/files.js';

/** How long {@link removeInstanceFolder} waits for another program to close its files, and how often it tries. */
const BUSY_MS = 1000;
const RETRY_MS = 20;
/** Never notified, so that waiting for it is sleeping. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** @throws AgentError if the kernel refuses */
export function writeControl(folder: string, file: string, value: string): void {
  const path = join(folder, file);
  try {
    writeFileSync(path, value);
  } catch (error) {
    throw new AgentError(`${path}: cannot set to ${value}: ${tracefsReason(error)}`, { cause: error });
  }
}

/**
 * False if this kernel has no such file or refuses the value: a newer feature, or an event of another architecture. An
 * empty value truncates the file, which clears lists such as set_event_pid; any other value is added to them.
 */
export function tryWriteControl(folder: string, file: string, value: string): boolean {
  try {
    writeFileSync(join(folder, file), value, { flag: value === '' ? 'w' : 'r+' });
    return true;
  } catch {
    return false;
  }
}

/** '' if the file cannot be read. */
export function readControl(folder: string, file: string): string {
  return tryReadText(join(folder, file)) ?? '';
}

/** Bytes that one read of a raw buffer returns at most. A kernel without the setting uses one page of 4 KiB. */
export function subBufferSize(folder: string): number {
  const kib = Number(readControl(folder, 'buffer_subbuf_size_kb'));
  return kib > 0 ? kib * 1024 : 4096;
}

/** @throws AgentError if the kernel refuses */
export function createInstanceFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    throw new AgentError(`${path}: cannot make a tracing instance: ${tracefsReason(error)}`, { cause: error });
  }
}

/**
 * The kernel refuses to remove an instance while a file of it is open. A program that opens one for a moment only is
 * waited for: a backup, or lsof, whose look at /proc/PID/fd keeps a file open that was just closed.
 * @param busy the rest of the message if the instance stays in use
 * @throws AgentError if the folder cannot be removed
 */
export function removeInstanceFolder(path: string, busy: string): void {
  for (const deadlineMs = performance.now() + BUSY_MS; ; ) {
    try {
      return rmdirSync(path);
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY') throw new AgentError(`${path}: ${tracefsReason(error)}`, { cause: error });
      if (performance.now() > deadlineMs) throw new AgentError(`${path}: ${busy}`, { cause: error });
      Atomics.wait(NEVER, 0, 0, RETRY_MS);
    }
  }
}

function tracefsReason(error: unknown): string {
  return errnoReason(error, {
    EACCES:
      process.getuid?.() === 0
        ? `permission denied although this is uid 0: AppArmor or SELinux forbids it, or it is not the host's uid 0 (user namespace)`
        : 'permission denied; run as root (uid 0; no capability is needed)',
    EPERM: 'not permitted; kernel lockdown or a security module (AppArmor, SELinux) refuses it',
    EROFS: 'tracefs is mounted read-only; mount it read-write',
    ENOENT: 'not a mounted tracefs (a copy?), or the kernel has no instances (before 3.10)',
    ENOMEM: 'the kernel has no memory for the buffers; give a smaller --tracefs.buffer-size',
  });
}
