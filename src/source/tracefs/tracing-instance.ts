/**
 * tracefs: the only file of this program that writes to it.
 *
 * Everything happens in an instance of our own (`instances/NAME`): own buffers, own events, own clock. Nothing else on the
 * host's tracing is changed (but for {@link enlargeTopLevel}, where the user asks for that buffer), and the instance goes when the agent ends. The kernel refuses to remove an instance
 * while somebody has a file of it open (EBUSY), which tells a crashed agent's leftover from a living agent's.
 *
 * Source: Documentation/trace/ftrace.rst, kernel/trace/trace.c (Linux 6.18). `copy_trace_marker` is there from 6.16 on,
 * `buffer_subbuf_size_kb` from 6.8 on.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { AgentError, isOutOfFiles } from '../../system/errors.js';
import { findTracefs, type Tracefs } from './find-tracefs.js';
import { clockFor, isStillShared, type TraceClockName } from './trace-clock.js';

/** How long an instance that is to go may still be read by somebody, and how often that is looked at. */
const BUSY_MS = 1000;
const BUSY_LOOK_MS = 20;

/** What nobody ever notifies. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

export interface InstanceOptions {
  /** Name below instances/. */
  readonly name: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** What is written to the top-level `trace_marker` comes to this instance too, where the kernel can do that. */
  readonly markers?: boolean;
}

/** A tracing instance of our own. */
export class TracingInstance {
  readonly path: string;
  readonly #root: string;
  #markers = false;
  #clock: TraceClockName = 'mono';

  private constructor(root: string, name: string) {
    this.#root = root;
    this.path = join(root, 'instances', name);
  }

  /**
   * Makes the instance, with nothing enabled yet: open its files, then {@link start}. What a crash left under that name is
   * removed first.
   * @throws AgentError where another agent uses that name, or the rights are missing
   */
  static make(root: string, { name, bufferSize, markers = false }: InstanceOptions): TracingInstance {
    const instance = new TracingInstance(root, name);
    if (existsSync(instance.path)) instance.#removeLeftover(name);
    instance.#create();
    try {
      instance.#configure(bufferSize);
    } catch (error) {
      instance.remove();
      throw error;
    }
    instance.#markers = markers;
    return instance;
  }

  /**
   * Whether instances can be made and changed here: makes one under a name of its own, lets `look` at it, and removes it.
   * @throws AgentError that says what is missing
   */
  static probe<T>(root: string, look: (path: string) => T): T {
    const instance = new TracingInstance(root, `kvm-exit-exporter-check-${process.pid}`);
    instance.#create();
    try {
      if (!existsSync(join(instance.path, 'tracing_on')))
        throw new AgentError(`${root}: not a tracefs that is alive: a folder made in its instances/ stays empty`);
      instance.#write('tracing_on', '0');
      return look(instance.path);
    } finally {
      instance.#rmdir();
    }
  }

  #create(): void {
    try {
      mkdirSync(this.path);
    } catch (error) {
      throw new AgentError(`${this.path}: cannot make a tracing instance: ${explain(error)}`, { cause: error });
    }
  }

  #removeLeftover(name: string): void {
    try {
      this.#rmdir();
    } catch (error) {
      if (codeOf(error) !== 'EBUSY') throw new AgentError(`${this.path}: ${explain(error)}`, { cause: error });
      throw new AgentError(
        `${this.path}: in use, probably by another kvm-exit-exporter; stop that one, or give this one a name of its own: --tracefs.instance=${name}-2`,
        { cause: error },
      );
    }
  }

  #configure(bufferSize: number): void {
    this.#clock = clockFor();
    this.#write('trace_clock', this.#clock);
    const kib = String(Math.ceil(bufferSize / 1024));
    // One read delivers one sub-buffer: larger ones cost fewer system calls. Before the size, which is rounded to them.
    const large = this.#tryWrite('buffer_subbuf_size_kb', '64') && this.#tryWrite('buffer_size_kb', kib);
    if (large) return;
    // No such feature, or memory is in small pieces: pages are as good. (4 KiB are rounded up to one.)
    this.#tryWrite('buffer_subbuf_size_kb', '4');
    this.#write('buffer_size_kb', kib);
  }

  /** Switches the events on: `system:name`. All at one moment, so that no exit is seen without what follows it. */
  start(events: readonly string[]): void {
    this.#write('tracing_on', '0');
    for (const event of events) this.#write(enableFile(event), '1');
    this.#write('tracing_on', '1');
    // Last: an instance that asks for markers but does not record keeps them from those that asked before it (seen on 6.18).
    if (this.#markers) this.#tryWrite('options/copy_trace_marker', '1');
  }

  /** Nothing more is recorded; what is in the buffers stays. */
  stop(): void {
    this.#refuseMarkers();
    this.#tryWrite('tracing_on', '0');
  }

  /** Whether it records these events. */
  isRecording(events: readonly string[]): boolean {
    return ['tracing_on', ...events.map(enableFile)].every((file) => this.#isOn(file));
  }

  /** What can't be read for want of file descriptors is as it was. */
  #isOn(file: string): boolean {
    try {
      return readFileSync(join(this.path, file), 'utf8').startsWith('1');
    } catch (error) {
      return isOutOfFiles(error);
    }
  }

  /** Whether all CPUs stamp alike, as they did at first. */
  get clockIsShared(): boolean {
    return isStillShared(this.#clock);
  }

  /** Whether markers come here. */
  get copiesMarkers(): boolean {
    return this.#read('options/copy_trace_marker').startsWith('1');
  }

  #refuseMarkers(): void {
    if (this.#markers) this.#tryWrite('options/copy_trace_marker', '0');
  }

  /** As {@link remove}, also where tracefs was unmounted meanwhile: out of reach, the instance would record on. */
  removeFrom(tracefs: Tracefs, given: string | undefined): void {
    if (tracefs.isThere()) return this.remove();
    const again = findTracefs(given);
    try {
      new TracingInstance(again.path, basename(this.path)).remove();
    } finally {
      again.release();
    }
  }

  /** Bytes that one read delivers at most. */
  get subBufferSize(): number {
    const kib = Number(this.#read('buffer_subbuf_size_kb'));
    return kib > 0 ? kib * 1024 : 4096;
  }

  /**
   * Removes the instance with all that it switched on. Files of it must be closed.
   * @throws AgentError where somebody else has a file of it open; it records nothing any more then
   */
  remove(): void {
    if (!existsSync(this.path)) return;
    this.#refuseMarkers();
    this.#tryWrite('events/enable', '0');
    try {
      this.#rmdir();
    } catch (error) {
      if (codeOf(error) !== 'EBUSY') throw new AgentError(`${this.path}: ${explain(error)}`, { cause: error });
      throw new AgentError(
        `${this.path}: another program reads it, so it stays, with its events off; once that has ended: rmdir ${this.path}`,
        { cause: error },
      );
    }
  }

  /**
   * Whoever reads along for a moment (a backup, lsof asking for links in /proc/PID/fd: they keep a file open that we just closed) is waited for.
   */
  #rmdir(): void {
    for (const deadlineMs = performance.now() + BUSY_MS; ; ) {
      try {
        return rmdirSync(this.path);
      } catch (error) {
        if (codeOf(error) !== 'EBUSY' || performance.now() > deadlineMs) throw error;
        Atomics.wait(NEVER, 0, 0, BUSY_LOOK_MS);
      }
    }
  }

  #write(file: string, value: string): void {
    try {
      writeFileSync(join(this.path, file), value);
    } catch (error) {
      throw new AgentError(`${join(this.path, file)}: cannot set to ${value}: ${explain(error)}`, { cause: error });
    }
  }

  /** False where the kernel has no such file or refuses: a newer feature, or an event of another architecture. */
  #tryWrite(file: string, value: string): boolean {
    try {
      writeFileSync(join(this.path, file), value, { flag: 'r+' });
      return true;
    } catch {
      return false;
    }
  }

  #read(file: string): string {
    try {
      return readFileSync(join(this.path, file), 'utf8');
    } catch {
      return '';
    }
  }

  /** Where the formats are: the same for all instances. */
  get root(): string {
    return this.#root;
  }
}

/**
 * Makes the top-level buffer as large as ours would be: until somebody traces there it has 7 KiB a CPU, which some hundred of QEMU's
 * markers fill. Returns what takes that back.
 */
export function enlargeTopLevel(root: string, bufferSize: number): () => void {
  const file = join(root, 'buffer_size_kb');
  let before: string;
  try {
    // `7 (expanded: 1408)`: the kernel will make it 1408 when it is first used, which it now is. CPUs may differ: `X`.
    before = readFileSync(file, 'utf8').trim();
    const kib = Number(/\d+(?=\)?$)/.exec(before)?.[0]);
    const wanted = Math.ceil(bufferSize / 1024);
    if (!(kib < wanted)) return () => {};
    writeFileSync(file, String(wanted));
    return () => {
      try {
        writeFileSync(file, String(kib));
      } catch {
        // It stays large: somebody reads it just now.
      }
    };
  } catch {
    return () => {};
  }
}

function enableFile(event: string): string {
  return `events/${event.replace(':', '/')}/enable`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function explain(error: unknown): string {
  const reasons: Record<string, string> = {
    EACCES:
      process.getuid?.() === 0
        ? "permission denied although this is uid 0: AppArmor or SELinux forbids it, or it is not the host's uid 0 (user namespace)"
        : 'permission denied; run as root (uid 0; no capability is needed)',
    EPERM: 'not permitted; kernel lockdown or a security module (AppArmor, SELinux) refuses it',
    EMFILE: 'too many open files; raise the limit with ulimit -n',
    EROFS: 'tracefs is mounted read-only; mount it read-write',
    ENOENT: 'not a tracefs that is alive, or of a kernel without instances (before 3.10)',
    ENOMEM: 'the kernel has no memory for the buffers; give a smaller --tracefs.buffer-size',
  };
  return reasons[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
}
