import { fstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { SourceCounts } from '../count/counters/source-counts.js';
import type { Ledger } from '../count/ledger.js';
import type { QemuCounts } from '../count/qemu/qemu-counts.js';
import type { QemuBackend } from '../count/qemu-views.js';
import { QemuLogDecoder } from '../decode/qemu/log-decoder.js';
import type { TraceEvents } from '../decode/qemu/trace-events.js';
import type { FileFollower } from '../source/files/file-follower.js';
import { LogFollower, logEnd } from '../source/files/log-follower.js';
import { PatternFollower } from '../source/files/pattern-follower.js';
import { isOurs, isSharedFolder, isWritableByOthers } from '../source/files/shared-folder.js';
import { SimpleTraceFollower } from '../source/files/simple-trace-follower.js';
import { findTraceEvents, hostTraceEvents, readTraceEvents } from '../source/qemu/find-trace-events.js';
import { log } from '../system/log.js';
import { SeldomLog } from '../system/seldom-log.js';
import { UNKNOWN_LOSS, type Vocabulary } from '../trace/sink.js';
import { findOpeners } from '../vm/host/open-files.js';
import type { Inventory } from '../vm/inventory.js';
import type { Vm } from '../vm/tables/vm.js';
import { type FileRights, pidOfFileName, QemuFileOwner } from './qemu-file-owner.js';

export interface QemuFeedOptions {
  /** Patterns of the paths of logs. */
  readonly logs: readonly string[];
  /** Patterns of the paths of simple traces. */
  readonly simples: readonly string[];
  /**
   * Path of a `trace-events-all`, which tells a log's events from its other lines and names the events of old simple
   * traces.
   */
  readonly traceEvents: string | undefined;
  /** True: every event of a log counts under its name, whether it is known or not. */
  readonly anyEvent: boolean;
  readonly procfs: string;
  /** How long the counts of a deleted file are kept. */
  readonly graceMs: number;
}

/** Longest pause between polls: a new file, or a VM that wakes up, is noticed within this time. */
const MAX_PAUSE_MS = 400;
/** Longest time of reading at once. */
const BUDGET_MS = 20;
/** Names of events of one file that are not known in advance. */
const MAX_UNKNOWN_EVENTS = 256;
/** Pause after a search for the processes that have files open: longer if the search took long. */
const OPENERS_PAUSE_MS = 200;
const PAUSE_PER_BUSY_MS = 20;
/** Files with counts of their own; further ones are counted together, for no known VM. */
const MAX_FILES = 4096;

interface TraceFile {
  readonly key: string;
  readonly path: string;
  readonly backend: QemuBackend;
  readonly counts: QemuCounts;
  readonly vocabulary: Vocabulary;
  readonly owner: QemuFileOwner;
  /** Device and inode of the latest file. */
  id: string;
  /** Time at which the file was deleted and read to its end; NaN while it exists. */
  goneMs: number;
}

/** Feeds the ledger from QEMU's own traces, logs and simple traces, which it follows live. */
export class QemuFeed {
  readonly #options: QemuFeedOptions;
  readonly #ledger: Ledger;
  readonly #inventory: Inventory;
  readonly #traceEvents: TraceEvents | undefined;
  readonly #knownEvents: ReadonlySet<string> | undefined;
  readonly #follows: { readonly files: PatternFollower; readonly source: SourceCounts }[] = [];
  /** The files by {@link TraceFile.key}. */
  readonly #files = new Map<string, TraceFile>();
  readonly #seldom = new SeldomLog();
  #timer: NodeJS.Timeout | undefined;
  #nextOpenersMs = Number.NEGATIVE_INFINITY;
  #isSearching = false;

  /** @throws AgentError if the list of events cannot be read */
  constructor(options: QemuFeedOptions, ledger: Ledger, inventory: Inventory) {
    this.#options = options;
    this.#ledger = ledger;
    this.#inventory = inventory;
    this.#traceEvents = options.traceEvents === undefined ? undefined : readTraceEvents(options.traceEvents);
    this.#knownEvents = this.#traceEvents && new Set(this.#traceEvents.events.map(({ name }) => name));
    const named = this.#traceEvents ?? (options.logs.length > 0 ? hostTraceEvents() : undefined);
    ledger.vocabulary.qemuEvents.reserve(named?.events.map(({ name }) => name) ?? []);
    this.#follow('log', options.logs, (file, fd, fromEnd, nowMs) => this.#readLog(file, fd, fromEnd, nowMs));
    this.#follow('simple', options.simples, (file, fd, fromEnd, nowMs) => this.#readSimple(file, fd, fromEnd, nowMs));
  }

  /** Begins to follow. In files that exist already, only events from now on count. */
  start(): void {
    this.scan(performance.now());
    for (const { files, source } of this.#follows) if (!source.up) warnIfEmpty(files);
    this.#poll();
  }

  stop(): void {
    this.#poll();
    clearTimeout(this.#timer);
    for (const { files } of this.#follows) files.close();
  }

  /** Finds new and deleted files, and the VMs that they belong to. */
  scan(nowMs: number): void {
    for (const { files, source } of this.#follows) {
      files.scan(nowMs);
      source.up = files.up;
    }
    this.#findOpenersIfDue();
    for (const file of this.#files.values()) this.#dropIfGone(file, nowMs);
  }

  /** The agent ends, so that no VM will become known. */
  settle(): void {
    for (const { owner } of this.#files.values()) owner.settle();
  }

  /** The ledger has dropped what the VM counted. */
  forget(vm: Vm): void {
    for (const { owner } of this.#files.values()) owner.forget(vm);
  }

  /** A VM has started, perhaps again: it may go on writing to the file of its earlier life. */
  restarted(vm: Vm): void {
    for (const { owner } of this.#files.values()) owner.restarted(vm);
  }

  #follow(
    backend: QemuBackend,
    patterns: readonly string[],
    open: (file: TraceFile, fd: number, fromEnd: boolean, nowMs: number) => FileFollower,
  ): void {
    if (patterns.length === 0) return;
    const source = this.#ledger.qemuBackend(backend);
    const files = new PatternFollower({
      patterns,
      follow: (path, fd, fromEnd, nowMs) => open(this.#fileAt(path, fd, backend, source), fd, fromEnd, nowMs),
      onProblem: (message) => this.#seldom.warn(backend, `cannot follow QEMU's traces (${backend})`, { err: message }),
      onNew: (path) => this.#seldom.few('info', 'new', `following a QEMU trace (${backend})`, { path }),
      onGone: (path) => this.#setGone(backend, path),
    });
    this.#follows.push({ files, source });
  }

  #setGone(backend: QemuBackend, path: string): void {
    for (const file of this.#files.values())
      if (file.path === path && file.backend === backend) file.goneMs = performance.now();
  }

  /**
   * One entry per path, whichever file has that path. A file of another user is not the successor of the file that had
   * the path before: its events must not count for the same VM.
   */
  #fileAt(path: string, fd: number, backend: QemuBackend, source: SourceCounts): TraceFile {
    const { id, rights } = identify(path, fd);
    const ownKey = [backend, rights.isOurs, rights.uid, path].join(':');
    const isFull = this.#files.size >= MAX_FILES && !this.#files.has(ownKey);
    const key = isFull ? backend : ownKey;
    this.#setGone(backend, path);
    const known = this.#files.get(key);
    if (known !== undefined) {
      known.goneMs = Number.NaN;
      known.id = id;
      return known;
    }
    const owner = new QemuFileOwner(this.#inventory, isFull ? '' : path, backend, isFull ? NO_RIGHTS : rights);
    // Any text may be in a log, while a simple trace has a header, and names that it declares.
    const isNamedByFile = backend === 'simple' || this.#options.anyEvent;
    const vocabulary = this.#ledger.qemu.vocabularyOfFile(isNamedByFile ? MAX_UNKNOWN_EVENTS : 0);
    const counts = this.#ledger.qemu.add(backend, owner, source, vocabulary);
    const goneMs = Number.NaN;
    const file = { key, id, path: isFull ? '' : path, backend, counts, vocabulary, owner, goneMs };
    this.#files.set(key, file);
    // At once, because a VM may end soon.
    setImmediate(() => this.#findOpenersIfDue());
    return file;
  }

  #readLog({ counts, vocabulary }: TraceFile, fd: number, fromEnd: boolean, nowMs: number): FileFollower {
    const options = this.#knownEvents ? { knownEvents: this.#knownEvents } : {};
    const decoder = new QemuLogDecoder(vocabulary, counts, options);
    const bytes = {
      push: (chunk: Uint8Array) => {
        const startMs = performance.now();
        decoder.push(chunk);
        counts.source.addDrain((performance.now() - startMs) / 1000);
      },
      end: () => decoder.end(),
      lost: () => counts.lost(-1, UNKNOWN_LOSS),
    };
    return new LogFollower(fd, fromEnd ? logEnd(fd) : 0, bytes, nowMs);
  }

  #readSimple({ path, counts, vocabulary }: TraceFile, fd: number, fromEnd: boolean, nowMs: number): FileFollower {
    const options = {
      vocabulary,
      sink: counts,
      traceEvents: () => this.#traceEvents ?? this.#findTraceEvents(path),
      fromEnd,
      onProblem: (problem: string) =>
        this.#seldom.warn('read', 'cannot read a simple trace', { err: `${path}: ${problem}` }),
    };
    return new SimpleTraceFollower(fd, options, nowMs);
  }

  #findTraceEvents(path: string): TraceEvents | undefined {
    const found = findTraceEvents(this.#options.procfs, pidOfFileName(path));
    if (found === undefined) return undefined;
    this.#seldom.info('names', "reading the names of an old simple trace's events", { path, from: found.path });
    return found.traceEvents;
  }

  #poll(): void {
    clearTimeout(this.#timer);
    const beginMs = performance.now();
    let nextMs = beginMs + MAX_PAUSE_MS;
    for (const { files, source } of this.#follows) {
      const startMs = performance.now();
      nextMs = Math.min(nextMs, files.poll(startMs, startMs + BUDGET_MS));
      source.addDrain((performance.now() - startMs) / 1000);
    }
    const endMs = performance.now();
    // Traces take at most half of the time, whatever is written to them.
    this.#timer = setTimeout(() => this.#poll(), Math.max(1, nextMs - endMs, endMs - beginMs));
  }

  #findOpenersIfDue(): void {
    if (performance.now() >= this.#nextOpenersMs) void this.findOpeners();
  }

  /** Searches the processes of VMs for those that have a file open whose events belong to no known VM. */
  async findOpeners(): Promise<void> {
    const files = [...this.#files.values()].filter(({ owner }) => owner.needsOpeners);
    if (files.length === 0 || this.#isSearching) return;
    this.#isSearching = true;
    const paths = new Map(files.filter(({ path }) => path !== '').map(({ id, path }) => [id, path]));
    const vms = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    let pauseMs = OPENERS_PAUSE_MS;
    try {
      const pids = vms.map(({ pid }) => pid);
      const { byFile, hidden, busyMs } = await findOpeners(this.#options.procfs, pids, paths);
      pauseMs = Math.max(pauseMs, busyMs * PAUSE_PER_BUSY_MS);
      for (const { id, owner } of files) {
        const openers = byFile.get(id) ?? [];
        owner.setOpeners(
          vms.filter(({ pid }) => openers.includes(pid)),
          vms.filter(({ pid }) => hidden.has(pid)),
        );
      }
    } catch (error) {
      this.#seldom.warn('openers', 'cannot find out which VMs write the traces', { err: String(error) });
    }
    this.#nextOpenersMs = performance.now() + pauseMs;
    this.#isSearching = false;
  }

  #dropIfGone({ key, counts, goneMs }: TraceFile, nowMs: number): void {
    if (!(nowMs - goneMs > this.#options.graceMs)) return;
    this.#ledger.qemu.drop(counts);
    this.#files.delete(key);
  }
}

const NO_RIGHTS: FileRights = { uid: -1, isOurs: false };

function identify(path: string, fd: number): { readonly id: string; readonly rights: FileRights } {
  const stats = fstatSync(fd);
  const isSafe = isOurs(stats) && !isWritableByOthers(stats) && !isSharedFolder(dirname(path));
  return { id: `${stats.dev}:${stats.ino}`, rights: { uid: stats.uid, isOurs: isSafe } };
}

function warnIfEmpty(files: PatternFollower): void {
  if (files.ids().size === 0) log('warn', 'no QEMU trace to follow yet', { err: 'no file matches; waiting for one' });
}
