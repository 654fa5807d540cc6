/** Follows logs as the agent does, and counts their events. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { QemuLogDecoder } from '../../../src/decode/qemu/log-decoder.js';
import { LogFollower, logEnd } from '../../../src/source/files/log-follower.js';
import { PatternFollower } from '../../../src/source/files/pattern-follower.js';
import { UNKNOWN_LOSS } from '../../../src/trace/sink.js';
import { HANG_MS } from '../patience.js';
import { CountingSink, total } from './counting-sink.js';
import { newVocabulary } from './vocabulary.js';

export interface FollowedLogs {
  readonly folder: string;
  readonly sink: CountingSink;
  readonly problems: string[];
  readonly files: PatternFollower;
  /** Number of lines that were events. */
  lines(): number;
  scan(): void;
  /** Follows until there are this many lines, or the time is up. Returns the number of lines. */
  until(lines: number, withinMs?: number): Promise<number>;
  run(ms: number): Promise<void>;
}

/** @param pattern below a temporary folder */
export function followLogs(t: TestContext, pattern = '*.log', before?: (folder: string) => void): FollowedLogs {
  const folder = mkdtempSync(join(tmpdir(), 'follow-logs-'));
  before?.(folder);
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const problems: string[] = [];
  const files = new PatternFollower({
    patterns: [join(folder, pattern)],
    follow: (_path, fd, fromEnd, nowMs) => {
      const decoder = new QemuLogDecoder(vocabulary, sink);
      const bytes = {
        push: (chunk: Uint8Array) => decoder.push(chunk),
        end: () => decoder.end(),
        lost: () => sink.lost(-1, UNKNOWN_LOSS),
      };
      return new LogFollower(fd, fromEnd ? logEnd(fd) : 0, bytes, nowMs);
    },
    onProblem: (problem) => problems.push(problem),
  });
  files.scan(performance.now());
  t.after(() => {
    files.close();
    rmSync(folder, { recursive: true });
  });
  const lines = () => total(sink.qemuEvents);
  const run = async (ms: number) => {
    const endMs = performance.now() + ms;
    files.scan(performance.now());
    while (performance.now() < endMs) {
      const nextMs = files.poll(performance.now(), performance.now() + 20);
      await sleep(Math.min(endMs, nextMs) - performance.now());
    }
  };
  return {
    folder,
    sink,
    problems,
    files,
    lines,
    run,
    scan: () => files.scan(performance.now()),
    async until(wanted, withinMs = HANG_MS) {
      const endMs = performance.now() + withinMs;
      while (lines() < wanted && performance.now() < endMs) await run(100);
      // Lines beyond those that are wanted would arrive in this time.
      await run(200);
      return lines();
    },
  };
}
