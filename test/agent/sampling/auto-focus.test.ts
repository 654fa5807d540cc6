import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AutoFocus } from '../../../src/agent/sampling/auto-focus.js';

const SECOND = 1000;

/** Chooses among VMs that make so many exits a second while they are in focus. */
class Host {
  warned: readonly string[] = [];
  exitsPerSecond = 0;
  readonly #auto: AutoFocus;
  readonly #exits = new Map<string, number>();
  #nowMs = 0;

  constructor(maxVms: number) {
    const findings = () => [
      { vm: 'informed', rule: { severity: 'info' } },
      ...this.warned.map((vm) => ({ vm, rule: { severity: 'warning' } })),
    ];
    this.#auto = new AutoFocus({ maxVms, budget: 0.01, findings });
  }

  /** The VMs in focus at a later time. */
  at(seconds: number): string[] {
    const vms = ['informed', 'a', 'b', 'c'];
    for (; this.#nowMs <= seconds * SECOND; this.#nowMs += SECOND) {
      for (const vm of vms.filter((each) => this.#auto.has(each)))
        this.#exits.set(vm, (this.#exits.get(vm) ?? 0) + this.exitsPerSecond);
      this.#auto.choose(
        this.#nowMs,
        (label) =>
          new Map([
            [1, this.#exits.get(label) ?? 0],
            [2, 7],
          ]),
      );
    }
    return vms.filter((vm) => this.#auto.has(vm));
  }
}

test('VMs with a warning take turns of a minute, so many at a time, those that cost most first', () => {
  const host = new Host(2);
  assert.deepEqual(host.at(0), []);
  host.warned = ['b', 'a', 'c'];
  assert.deepEqual(host.at(1), ['a', 'b']);
  assert.deepEqual(host.at(60), ['a', 'b']);
  assert.deepEqual(host.at(61), ['c']);
  assert.deepEqual(host.at(120), ['c']);
  assert.deepEqual(host.at(121), ['a', 'b']);
});

test('the focus ends with the warning', () => {
  const host = new Host(2);
  host.warned = ['a', 'b'];
  assert.deepEqual(host.at(10), ['a', 'b']);
  host.warned = ['b'];
  assert.deepEqual(host.at(11), ['b']);
});

// An exit raises at most three events of half a microsecond each (docs/overhead.md): 20,000 exits a second take 3 % of
// a vCPU's time, three times the budget. So the minute in focus is worth three minutes.
test('a VM rests until its focus has cost no more than the budget', () => {
  const host = new Host(1);
  host.warned = ['a'];
  host.exitsPerSecond = 20_000;
  assert.deepEqual(host.at(59), ['a']);
  assert.deepEqual(host.at(60), []);
  assert.deepEqual(host.at(179), []);
  assert.deepEqual(host.at(180), ['a']);
});

// 100,000 exits a second take 15 %: after 43 seconds, the time to make up for is 602 seconds.
test('a focus that costs much ends early', () => {
  const host = new Host(1);
  host.warned = ['a'];
  host.exitsPerSecond = 100_000;
  assert.deepEqual(host.at(42), ['a']);
  assert.deepEqual(host.at(43), []);
  assert.deepEqual(host.at(43 + 601), []);
  assert.deepEqual(host.at(43 + 603), ['a']);
});
