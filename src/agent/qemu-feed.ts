/**
 * QEMU's own traces, followed live: logs and simple traces, to the ledger.
 */

import type { SourceCounts } from '../count/counters/source-counts.js';
import type { Ledger } from '../count/ledger.js';
import type { QemuCounts } from '../count/qemu/qemu-counts.js';
import type { QemuBackend } from '../count/qemu-views.js';
import { QemuLogDecoder } from '../decode/qemu/log-decoder.js';
import type { TraceEvents } from '../decode/qemu/trace-events.js';
import type { FileFollower } from '../source/files/file-follower.js';
import { LogFollower, logEnd } from '../source/files/log-follower.js';
import { PatternFollower } from '../source/files/pattern-follower.js';
import { SimpleTraceFollower } from '../source/files/simple-trace-follower.js';
import { findTraceEvents, readTraceEvents } from '../source/qemu/find-trace-events.js';
import { log } from '../system/log.js';
import { UNKNOWN_LOSS } from '../trace/sink.js';
import { findOpeners } from '../vm/host/open-files.js';
import type { Inventory } from '../vm/inventory.js';
import type { Vm } from '../vm/vm.js';
import { pidOfFileName, QemuFileOwner } from './qemu-file-owner.js';

export interface QemuFeedOptions {
  /** Patterns of paths. */
  readonly logs: readonly string[];
  readonly simples: readonly string[];
  /** A trace-events-all: tells a log's events from other lines, and names those of old simple traces. */
  readonly traceEvents: string | undefined;
  readonly procfs: string;
  /** How long the counts of a file stay whose VM nobody knew, once it is gone. */
  readonly graceMs: number;
}

/** A new file, or a VM that wakes up, is noticed so soon. */
const SLOWEST_POLL_MS = 400;
/** Reading simple traces may take so long at a time. */
const BUDGET_MS = 20;
const OPENERS_MS = 5000;

interface File {
  readonly path: string;
  readonly backend: QemuBackend;
  readonly counts: QemuCounts;
  readonly owner: QemuFileOwner;
  goneMs: number;
}

export class QemuFeed {
  readonly #options: QemuFeedOptions;
  readonly #ledger: Ledger;
  readonly #inventory: Inventory;
  readonly #traceEvents: TraceEvents | undefined;
  readonly #knownEvents: ReadonlySet<string> | undefined;
  readonly #follows: { readonly files: PatternFollower; readonly source: SourceCounts }[] = [];
  readonly #files = new Map<string, File>();
  #timer: NodeJS.Timeout | undefined;
  #openersMs = Number.NEGATIVE_INFINITY;

  /** @throws AgentError where the list of events can't be read */
  constructor(options: QemuFeedOptions, ledger: Ledger, inventory: Inventory) {
    this.#options = options;
    this.#ledger = ledger;
    this.#inventory = inventory;
    this.#traceEvents = options.traceEvents === undefined ? undefined : readTraceEvents(options.traceEvents);
    this.#knownEvents = this.#traceEvents && new Set(this.#traceEvents.events.map(({ name }) => name));
    this.#follow('log', options.logs, (file, fd, fromEnd, nowMs) => this.#readLog(file, fd, fromEnd, nowMs));
    this.#follow('simple', options.simples, (file, fd, fromEnd, nowMs) => this.#readSimple(file, fd, fromEnd, nowMs));
  }

  /** Begins to follow; events from now on count. */
  start(): void {
    this.scan();
    for (const { files, source } of this.#follows) if (!source.up) sayNothingYet(files);
    this.#poll();
  }

  stop(): void {
    this.#poll();
    clearTimeout(this.#timer);
    for (const { files } of this.#follows) files.close();
  }

  /** Files come and go, and so do VMs. */
  scan(): void {
    const nowMs = performance.now();
    for (const { files, source } of this.#follows) {
      files.scan(nowMs);
      source.up = files.up;
    }
    if (nowMs - this.#openersMs >= OPENERS_MS) this.#findOpeners(nowMs);
    for (const file of this.#files.values()) this.#dropIfOver(file, nowMs);
  }

  forget(vm: Vm): void {
    for (const { owner } of this.#files.values()) owner.forget(vm);
  }

  restarted(vm: Vm): void {
    for (const { owner } of this.#files.values()) owner.restarted(vm);
  }

  #follow(
    backend: QemuBackend,
    patterns: readonly string[],
    read: (file: File, fd: number, fromEnd: boolean, nowMs: number) => FileFollower,
  ): void {
    if (patterns.length === 0) return;
    const source = this.#ledger.qemuBackend(backend);
    const files = new PatternFollower({
      patterns,
      follow: (path, fd, fromEnd, nowMs) => read(this.#fileAt(path, backend, source), fd, fromEnd, nowMs),
      onProblem: (message) => log('warn', `following QEMU's traces (${backend})`, { err: message }),
      onNew: (path) => log('info', `following a QEMU trace (${backend})`, { file: path }),
      onGone: (path) => {
        const file = this.#files.get(`${backend}:${path}`);
        if (file !== undefined) file.goneMs = performance.now();
      },
    });
    this.#follows.push({ files, source });
  }

  /** One for all files that have a name in turns. */
  #fileAt(path: string, backend: QemuBackend, source: SourceCounts): File {
    const key = `${backend}:${path}`;
    const known = this.#files.get(key);
    if (known !== undefined) {
      known.goneMs = Number.NaN;
      return known;
    }
    const owner = new QemuFileOwner(this.#inventory, path, backend);
    const counts = this.#ledger.qemuSource(backend, owner, source);
    const file = { path, backend, counts, owner, goneMs: Number.NaN };
    this.#files.set(key, file);
    this.#openersMs = Number.NEGATIVE_INFINITY;
    return file;
  }

  #readLog({ counts }: File, fd: number, fromEnd: boolean, nowMs: number): FileFollower {
    const options = this.#knownEvents ? { knownEvents: this.#knownEvents } : {};
    const decoder = new QemuLogDecoder(this.#ledger.vocabulary, counts, options);
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

  #readSimple({ path, counts }: File, fd: number, fromEnd: boolean, nowMs: number): FileFollower {
    const options = {
      vocabulary: this.#ledger.vocabulary,
      sink: counts,
      traceEvents: () => this.#traceEvents ?? this.#foundTraceEvents(path),
      fromEnd,
      onProblem: (problem: string) => log('warn', 'a simple trace that cannot be read', { err: `${path}: ${problem}` }),
    };
    return new SimpleTraceFollower(fd, options, nowMs);
  }

  #foundTraceEvents(path: string): TraceEvents | undefined {
    const found = findTraceEvents(this.#options.procfs, pidOfFileName(path));
    if (found === undefined) return undefined;
    log('info', 'names of events in an old simple trace', { file: path, from: found });
    return readTraceEvents(found);
  }

  #poll(): void {
    clearTimeout(this.#timer);
    let nextMs = performance.now() + SLOWEST_POLL_MS;
    for (const { files, source } of this.#follows) {
      const startMs = performance.now();
      nextMs = Math.min(nextMs, files.poll(startMs, startMs + BUDGET_MS));
      source.addDrain((performance.now() - startMs) / 1000);
    }
    this.#timer = setTimeout(() => this.#poll(), Math.max(1, nextMs - performance.now()));
  }

  /** Only where nothing better tells whose a file is. */
  #findOpeners(nowMs: number): void {
    this.#openersMs = nowMs;
    const unknown = new Set([...this.#files.values()].filter(({ owner }) => owner.isUnknown).map(({ path }) => path));
    if (unknown.size === 0) return;
    const ids = new Map(this.#follows.flatMap(({ files }) => [...files.ids()].filter(([path]) => unknown.has(path))));
    const pids = this.#inventory.vms().flatMap(({ pid, stoppedMs }) => (Number.isNaN(stoppedMs) ? [pid] : []));
    const openers = findOpeners(this.#options.procfs, pids, ids);
    for (const { path, owner } of this.#files.values()) {
      const pid = openers.get(ids.get(path) ?? '');
      if (pid !== undefined) owner.setOpener(pid);
    }
  }

  #dropIfOver({ path, backend, counts, goneMs }: File, nowMs: number): void {
    if (!(nowMs - goneMs > this.#options.graceMs)) return;
    this.#ledger.dropQemuSource(counts);
    this.#files.delete(`${backend}:${path}`);
  }
}

function sayNothingYet(files: PatternFollower): void {
  if (files.ids().size === 0) log('warn', 'no QEMU trace to follow yet', { err: 'no file matches; waiting for one' });
}
