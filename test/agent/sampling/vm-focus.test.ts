import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmFocus } from '../../../src/agent/sampling/vm-focus.js';

/** Notes what the focus does to kernel and ledger. */
class Host {
  threads: { label: string; tid: number }[] = [];
  started = new Set<string>();
  isRefused = false;
  readonly #listed = new Set<number>();
  #steps: string[] = [];
  readonly focus = new VmFocus({
    isWanted: (label) => label.startsWith('web'),
    threads: () => this.threads,
    sources: {
      trace: () => ({
        add: async (threads) => {
          if (this.isRefused) return undefined;
          const added = [...threads].filter((tid) => !this.#listed.has(tid));
          for (const tid of added) this.#listed.add(tid);
          return new Set(added);
        },
        deliverAll: () => {},
        pause: async () => {},
        resume: async (kept) => this.#step(`resume ${[...kept].join(' ')}`),
        stop: async () => this.#step('stop'),
      }),
      drain: () => this.#step('drain'),
      readStatistics: async () => this.#step('read'),
    },
    ledger: {
      focus: (label, _, isNew) => this.#step(`focus ${label}${isNew ? ', new' : ''}`),
      unfocus: (label) => this.#step(`unfocus ${label}`),
      exitsByThread: () => new Map(),
    },
    startedWithin: () => this.started,
  });

  #step(step: string): void {
    this.#steps.push(step);
  }

  async update(): Promise<string[]> {
    await this.focus.update(1000);
    return this.#take();
  }

  async resume(): Promise<string[]> {
    await this.focus.resume();
    return this.#take();
  }

  #take(): string[] {
    return this.#steps.splice(0);
  }
}

test('VMs whose names match are in focus from the moment at which the kernel lists their threads', async () => {
  const host = new Host();
  host.threads = [
    { label: 'web-1', tid: 11 },
    { label: 'db', tid: 12 },
    { label: 'web-1', tid: 13 },
  ];
  assert.deepEqual(await host.update(), ['read', 'drain', 'focus web-1']);
  assert.deepEqual(await host.update(), []);
  // Another VM starts, and a vCPU is plugged in.
  host.threads.push({ label: 'web-2', tid: 21 }, { label: 'web-1', tid: 14 });
  host.started = new Set(['web-2']);
  assert.deepEqual(await host.update(), ['read', 'drain', 'focus web-1', 'focus web-2, new']);
});

test('a VM that the kernel refuses is tried again', async () => {
  const host = new Host();
  host.threads = [{ label: 'web-1', tid: 11 }];
  host.isRefused = true;
  assert.deepEqual(await host.update(), []);
  host.isRefused = false;
  assert.deepEqual(await host.update(), ['read', 'drain', 'focus web-1']);
});

test('the focus ends when a VM stops, and its threads are forgotten in the next window', async () => {
  const host = new Host();
  host.threads = [
    { label: 'web-1', tid: 11 },
    { label: 'web-2', tid: 21 },
  ];
  await host.update();
  host.threads = [{ label: 'web-2', tid: 21 }];
  assert.deepEqual(await host.update(), ['read', 'drain', 'unfocus web-1']);
  assert.deepEqual(await host.update(), []);
  assert.deepEqual(await host.resume(), ['resume 21']);
  // A VM that is back before that is in focus again, although the kernel still lists its threads.
  host.threads.push({ label: 'web-1', tid: 11 });
  assert.deepEqual(await host.update(), ['read', 'drain', 'focus web-1']);
});

test('after the last VM in focus nothing is recorded', async () => {
  const host = new Host();
  host.threads = [{ label: 'web-1', tid: 11 }];
  await host.update();
  host.threads = [];
  assert.deepEqual(await host.update(), ['read', 'drain', 'unfocus web-1', 'stop']);
});
