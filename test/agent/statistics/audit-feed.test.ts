/** The audit of a ledger that counts events, against statistics of a KVM that counts the same exits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuditFeed } from '../../../src/agent/statistics/audit-feed.js';
import { ALL_COLLECTORS, Ledger } from '../../../src/count/ledger.js';
import type { StatisticsReading } from '../../../src/trace/kvm-statistic.js';

/** A host with one VM, whose two vCPUs exit for ports. The two statistics are kept as KVM keeps them. */
class Host {
  readonly ledger = new Ledger(
    { ownerOf: (tid) => ({ vm: { label: 'a' }, vcpu: String(tid - 1) }) },
    { collectors: ALL_COLLECTORS },
  );
  readonly kernel = this.ledger.kernelSource('tracefs');
  readonly #io = this.ledger.vocabulary.reasons.id('io');
  readonly #hit = this.ledger.vocabulary.tracepoints.id('kvm_exit');
  readonly #exits = [0, 0];
  nowMs = 0;
  isBehind = false;
  readonly feed = new AuditFeed(
    this.ledger.kernelExits,
    () => {
      this.ledger.resolveOwners(this.nowMs);
      return !this.isBehind;
    },
    { now: () => this.nowMs },
  );

  /** @param isSeen false: the agent misses the exit */
  exit(vcpu: 0 | 1, isSeen = true): void {
    this.#exits[vcpu] = (this.#exits[vcpu] ?? 0) + 1;
    if (!isSeen) return;
    this.kernel.tracepoint(1, 0, vcpu + 1, this.#hit);
    this.kernel.vmExit(1, 0, vcpu + 1, vcpu, this.#io, 0);
  }

  /**
   * @param meanwhile happens before KVM is asked, and after it has answered
   * @param vcpus vCPUs whose statistics are in the answer
   */
  read({ life = 'one', meanwhile = () => {}, vcpus = [0, 1] } = {}): void {
    const before = this.feed.before(new Set(['a']));
    meanwhile();
    const total = (name: string) => ({ name, kind: 'total' as const, isTime: false, length: 1 });
    const parts = vcpus.map((vcpu) => {
      const count = this.#exits[vcpu] ?? 0;
      return {
        key: `vcpu ${vcpu}`,
        vcpu: String(vcpu),
        values: [[total('exits'), count] as const, [total('io_exits'), count] as const],
      };
    });
    const reading: StatisticsReading = { door: 'qmp', parts };
    meanwhile();
    this.feed.compare([{ label: 'a', life, reading }], before);
  }

  results(): Record<string, unknown> {
    return Object.fromEntries(this.feed.rows().map(({ check, outcome, ratio }) => [check, [outcome, ratio]]));
  }
}

/** A minute in which each vCPU makes 1,000 exits, of which the agent sees this share. */
function minute(host: Host, seen = 1): void {
  for (let index = 0; index < 1000; index++) for (const vcpu of [0, 1] as const) host.exit(vcpu, index / 1000 < seen);
  host.nowMs += 60_000;
}

test('both count the same exits of all vCPUs', () => {
  const host = new Host();
  // Before the agent started.
  for (let index = 0; index < 500; index++) host.exit(0, false);
  host.read();
  minute(host);
  host.read();
  assert.deepEqual(host.results(), { exits: ['compared', 1], io_exits: ['compared', 1] });
});

test('exits that happen while KVM is asked make the result less certain, not wrong', () => {
  const host = new Host();
  const meanwhile = () => host.exit(0);
  // The threads of the VM are known.
  host.exit(0);
  host.read({ meanwhile });
  minute(host);
  host.read({ meanwhile });
  assert.deepEqual(host.results(), { exits: ['compared', 1], io_exits: ['compared', 1] });
  // Two moments, each between two exits: 4 of the 2,002 that KVM counted.
  assert.deepEqual(
    host.feed.rows().map(({ uncertainty }) => uncertainty),
    [4 / 2002, 4 / 2002],
  );
});

test('exits that the agent misses show', () => {
  const host = new Host();
  host.read();
  minute(host, 0.75);
  host.read();
  assert.deepEqual(host.results(), { exits: ['compared', 0.75], io_exits: ['compared', 0.75] });
});

test('exits that were reported as lost do not', () => {
  const host = new Host();
  host.read();
  minute(host, 0.75);
  host.kernel.lost(0, 500);
  host.read();
  assert.deepEqual(host.results(), { exits: ['events_lost', NaN], io_exits: ['events_lost', NaN] });
});

test('a vCPU that is taken out takes its exits with it: the audit begins again', () => {
  const host = new Host();
  for (let index = 0; index < 900; index++) host.exit(1);
  host.read();
  // KVM's sum has grown nevertheless, but by 900 exits less.
  minute(host);
  host.read({ vcpus: [0] });
  assert.deepEqual(host.results(), { exits: ['too_short', NaN], io_exits: ['too_short', NaN] });
  for (let index = 0; index < 1000; index++) host.exit(0);
  host.nowMs += 60_000;
  host.read({ vcpus: [0] });
  assert.deepEqual(host.results(), { exits: ['compared', 1], io_exits: ['compared', 1] });
});

test('nothing is compared while the agent has not read all events', () => {
  const host = new Host();
  host.read();
  minute(host, 0.75);
  host.isBehind = true;
  host.read();
  assert.deepEqual(host.results(), { exits: ['too_short', NaN], io_exits: ['too_short', NaN] });
});

test('a host without kvm_exit is not compared', () => {
  const host = new Host();
  host.read();
  minute(host, 0);
  host.read();
  assert.deepEqual(host.results(), { exits: ['not_comparable', NaN], io_exits: ['not_comparable', NaN] });
});

test('a VM that has gone has no results', () => {
  const host = new Host();
  host.read();
  host.feed.keepOnly(new Set());
  assert.deepEqual(host.results(), {});
});
