/**
 * Reports writes of other programs to the files of a tracing instance, at the moment of the write: inotify. It costs
 * nothing while no program writes, and shows changes that are reverted before the next look at the files.
 *
 * The kernel forgets the folder of an event that no process has open, and makes another one when a program opens a file
 * in it (fs/tracefs/event_inode.c, Linux 6.6 and later), whose writes would not be reported. So these folders are kept
 * open; O_PATH does not count as a use of the instance, which would keep it from being removed.
 */
import { closeSync, constants, type FSWatcher, openSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Files whose writes change nothing that is recorded. */
const HARMLESS: ReadonlySet<string> = new Set(['trace_marker', 'trace_marker_raw', 'buffer_percent', 'error_log']);

/** fs.constants does not have it. The same on all of Linux's architectures but alpha, parisc and sparc. */
const O_PATH = 0x200000;

/** Limits the memory for names between two calls of {@link WriteWatch.take}. */
const MAX_NAMES = 64;

export class WriteWatch {
  readonly #watchers: FSWatcher[] = [];
  readonly #folders: number[] = [];
  readonly #written = new Set<string>();
  /** Files whose reported writes may be this program's own; empty while none can be. */
  readonly #own = new Set<string>();
  #ownCalls = 0;
  readonly #onWrite: () => void;
  #isNoticed = false;

  /**
   * Watches nothing if the kernel refuses, as it does if too many files are watched already; see {@link isWatching}.
   * @param events the events whose settings are watched, as `system:name`
   * @param onWrite called after writes that may matter
   */
  constructor(instance: string, events: readonly string[], onWrite: () => void) {
    this.#onWrite = onWrite;
    try {
      for (const folder of foldersOf(instance, events)) this.#watch(instance, folder);
    } catch {
      this.close();
    }
  }

  get isWatching(): boolean {
    return this.#watchers.length > 0;
  }

  /** Paths in the instance of the files that other programs wrote to since the last call. */
  take(): string[] {
    const written = [...this.#written];
    this.#written.clear();
    return written;
  }

  /** True while reports of writes may still come that are older than {@link ignoreOwn}. */
  get isSettling(): boolean {
    return this.isWatching && this.#own.size > 0;
  }

  /** Takes all reports about these files for this program's own writes, until {@link ignoreOwn}. */
  expectOwn(files: readonly string[]): void {
    this.#ownCalls++;
    for (const file of files) this.#own.add(file);
  }

  /**
   * Takes the reports about these files that the kernel has queued by now for this program's own writes. Then calls
   * back, as reports of other programs' writes to the same files may have been among them.
   */
  ignoreOwn(files: readonly string[], onSettled: () => void): void {
    if (!this.isWatching || files.length === 0) return;
    for (const file of files) this.#own.add(file);
    const call = ++this.#ownCalls;
    // Libuv reads all queued reports in one go. A call within the poll phase comes after its reading, so wait for two.
    setImmediate(() =>
      setImmediate(() => {
        if (call !== this.#ownCalls) return;
        this.#own.clear();
        if (this.isWatching) onSettled();
      }),
    );
  }

  close(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    for (const folder of this.#folders.splice(0)) closeSync(folder);
  }

  #watch(instance: string, folder: string): void {
    const path = join(instance, folder);
    if (folder.startsWith('events')) this.#folders.push(openSync(path, O_PATH | constants.O_DIRECTORY));
    const watcher = watch(path, { persistent: false }, (_, name) => {
      if (name === null || HARMLESS.has(name)) return;
      const file = join(folder, name);
      if (this.#own.has(file)) return;
      if (this.#written.size < MAX_NAMES) this.#written.add(file);
      this.#notice();
    });
    this.#watchers.push(watcher);
    watcher.on('error', () => this.close());
  }

  /** Calls back later: libuv goes on to report the writes of a watch that is closed while it reports one. */
  #notice(): void {
    if (this.#isNoticed) return;
    this.#isNoticed = true;
    setImmediate(() => {
      this.#isNoticed = false;
      if (this.isWatching) this.#onWrite();
    });
  }
}

function foldersOf(instance: string, events: readonly string[]): string[] {
  const systems = new Set(events.map((event) => event.replace(/:.*/, '')));
  return [
    '.',
    'options',
    ...readdirSync(join(instance, 'per_cpu')).map((cpu) => `per_cpu/${cpu}`),
    'events',
    ...[...systems].map((system) => `events/${system}`),
    ...events.map((event) => `events/${event.replace(':', '/')}`),
  ];
}
