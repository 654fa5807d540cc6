import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advise } from '../../src/advice/advise.js';
import type { Workload } from '../../src/advice/workload.js';
import { accesses, kvmExits, qemuExits, workloadOf } from './example-workload.js';

const HPET = { bus: 'mmio', address: 0xfed00000, device: 'hpet' } as const;

const found = (...workloads: Workload[]) => advise(workloads, 60).map(({ vm, rule }) => `${vm}: ${rule.id}`);

test('a finding costs its rate times the mean duration', () => {
  const [finding] = advise([workloadOf(accesses({ ...HPET, perSecond: 2000 }, 0.00002))], 60);
  assert.equal(finding?.rule.id, 'hpet');
  assert.equal(finding?.load.perSecond, 2000);
  // 2,000 times 20 us in each second.
  assert.equal(finding?.load.cost?.toFixed(6), '0.040000');
  assert.equal(finding?.load.mainly, 'page 0xfed00000 (hpet)');
});

test('what costs less than 1 % of a vCPU is no finding, however often it happens', () => {
  assert.deepEqual(found(workloadOf(accesses({ ...HPET, perSecond: 9000 }, 0.000001))), []);
});

test('what costs much is a finding, however seldom it happens', () => {
  assert.deepEqual(found(workloadOf(accesses({ ...HPET, perSecond: 20 }, 0.001))), ['web: hpet']);
});

test('without durations the rate of each vCPU decides, and the cost is unknown', () => {
  const twoVcpus = (perSecond: number) => ({ ...workloadOf(accesses({ ...HPET, perSecond })), vcpus: 2 });
  assert.deepEqual(found(twoVcpus(999)), []);
  const [finding] = advise([twoVcpus(1000)], 60);
  assert.equal(finding?.rule.id, 'hpet');
  assert.equal(finding?.load.cost, undefined);
});

test('what is a small part of the exits is no finding', () => {
  const { io = [], exits = [] } = accesses({ ...HPET, perSecond: 1000 });
  assert.deepEqual(found(workloadOf({ io, exits: [...exits, qemuExits('KVM_EXIT_HYPERV', 99_000)] })), []);
});

test('accesses that the kernel answers, or that the trace does not tell, are no finding', () => {
  for (const layer of ['kvm', 'unknown'] as const) {
    const io = [
      {
        layer,
        bus: 'pio',
        direction: 'in',
        address: 0x61,
        device: 'pc_speaker',
        perSecond: 90_000,
        meanSeconds: undefined,
      },
    ] as const;
    assert.deepEqual(found(workloadOf({ io })), []);
  }
});

test('the VM that loses most comes first', () => {
  const small = { ...workloadOf(accesses({ ...HPET, perSecond: 1000 }, 0.00002)), vm: 'small' };
  const large = { ...workloadOf(accesses({ ...HPET, perSecond: 9000 }, 0.00002)), vm: 'large' };
  assert.deepEqual(found(small, large), ['large: hpet', 'small: hpet']);
});

test('a rule that names no cause is silent where another one does', () => {
  const slow = (device: { readonly address: number; readonly device: string }) =>
    workloadOf(accesses({ bus: 'mmio', ...device, perSecond: 100 }, 0.002));
  assert.deepEqual(found(slow({ address: 0xfebd0000, device: '' })), ['web: slow-device-model']);
  assert.deepEqual(found(slow(HPET)), ['web: hpet']);
});

test('an operator can switch a rule off', () => {
  const workload = workloadOf(accesses({ ...HPET, perSecond: 2000 }, 0.00002));
  assert.deepEqual(advise([workload], 60, ['hpet']), []);
});

test('long sleeps are no finding', () => {
  const sleeps = (meanSeconds: number) => workloadOf({ exits: [kvmExits('HLT', 12_000, meanSeconds)] });
  assert.deepEqual(found(sleeps(0.00005)), ['web: short-sleeps']);
  assert.deepEqual(found(sleeps(0.0005)), []);
});

test('the sleep of an idle guest is no cost, wherever it sleeps', () => {
  const sleeping = workloadOf({ exits: [qemuExits('KVM_EXIT_HLT', 500, 0.0018)] });
  const waking = workloadOf({ exits: [...sleeping.exits, qemuExits('KVM_EXIT_IRQ_WINDOW_OPEN', 500, 0.00004)] });
  const pausing = workloadOf({ exits: [kvmExits('hlt', 12_000, 0.00005)] });
  const costs = [sleeping, waking, pausing].map((workload) => advise([workload], 60)[0]?.load.cost);
  // Only the interrupt windows keep a guest from running: 500 times 40 us in each second.
  assert.deepEqual(costs, [undefined, 0.02, undefined]);
});

test('the tick of the host is no finding; more than that is', () => {
  const interrupts = (share: number, perSecond = 20_000) =>
    workloadOf({
      exits: [
        kvmExits('EXTERNAL_INTERRUPT', share * perSecond, 0.00001),
        kvmExits('MSR_WRITE', (1 - share) * perSecond),
      ],
    });
  assert.deepEqual(found(interrupts(0.39)), []);
  assert.deepEqual(found(interrupts(0.41)), ['web: host-interrupts']);
  // A guest that only computes is interrupted by the tick alone, up to 1,000 times a second.
  assert.deepEqual(found(interrupts(1, 1000)), []);
});
