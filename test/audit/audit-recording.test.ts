/** The comparison of a recording's exits with the statistics that were saved with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecording, type CountedExits } from '../../src/audit/audit-recording.js';
import { type Moment, parseReadings } from '../../src/audit/readings.js';

function line(when: Moment, values: object, vm = '178-15'): string {
  return `${JSON.stringify({ statistics: when, vm, values })}\n`;
}

function ioExits(count: number): CountedExits {
  return {
    exits: [{ vm: 'vm-a', layer: 'kvm', reason: 'io', count }],
    traced: { kvm: true, qemu: true },
    hasLost: false,
  };
}

const vmOf = (tid: number) => (tid === 178 ? 'vm-a' : undefined);

function checkOf(counted: CountedExits, notes: string) {
  const [check] = auditRecording(counted, parseReadings(notes), vmOf);
  return check;
}

test('KVM counted what its statistic grew by while the recording was made', () => {
  const notes = line('start', { io_exits: 1000 }) + line('end', { io_exits: 1500 });
  assert.deepEqual(checkOf(ioExits(500), notes), {
    vm: 'vm-a',
    check: 'io_exits',
    kvmAtLeast: 500,
    kvm: 500,
    ours: 500,
    ratio: 1,
    obstacle: '',
  });
});

test('exits between the bounds agree, because reading the statistics takes time', () => {
  const notes = [
    line('start', { io_exits: 1000 }),
    line('started', { io_exits: 1010 }),
    line('stopping', { io_exits: 1510 }),
    line('end', { io_exits: 1525 }),
  ].join('');
  const ratios = [400, 500, 510, 525, 630].map((count) => checkOf(ioExits(count), notes)?.ratio);
  assert.deepEqual(ratios, [0.8, 1, 1, 1, 1.2]);
});

test('a VM that was created meanwhile is counted from 0', () => {
  assert.equal(checkOf(ioExits(300), line('stopping', { io_exits: 290 }) + line('end', { io_exits: 310 }))?.ratio, 1);
});

test('a VM that ended meanwhile, and one of unknown name, have no checks', () => {
  assert.equal(checkOf(ioExits(300), line('start', { io_exits: 0 })), undefined);
  assert.equal(checkOf(ioExits(300), line('end', { io_exits: 300 }, '179-15')), undefined);
});

test('a VM of which nothing was counted is checked too', () => {
  const counted = { ...ioExits(0), exits: [] };
  assert.equal(checkOf(counted, line('end', { io_exits: 300 }))?.ratio, 0);
});

test('where events were lost, the figures are shown but not compared', () => {
  const check = checkOf({ ...ioExits(200), hasLost: true }, line('end', { io_exits: 300 }));
  assert.deepEqual([check?.kvm, check?.ours, check?.ratio], [300, 200, Number.NaN]);
  assert.equal(check?.obstacle, 'events were lost');
});

test('lines that are damaged, or that `record` did not write, are left out', () => {
  const wrong = [
    '{"statistics":',
    '{"statistics":"later","vm":"178-15","values":{}}',
    '{"statistics":"end","vm":"../178-15","values":{}}',
    '{"statistics":"end","vm":178,"values":{}}',
    '{"statistics":"end","vm":"178-15","values":null}',
    '{"statistics":"end","vm":"178-15"}',
    '{"pid":178}',
  ];
  assert.deepEqual(parseReadings(wrong.join('\n')), []);
  const [reading] = parseReadings(
    '{"statistics":"end","vm":"178-15","values":{"a":-1,"b":1.5,"c":"2","d":1e300,"__proto__":3,"e":4}}',
  );
  assert.deepEqual([...(reading?.values ?? [])].at(-1), ['e', 4]);
  assert.ok(![...(reading?.values ?? [])].some(([name]) => 'abcd'.includes(name)));
});
