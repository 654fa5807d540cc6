import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';
import { readFixture } from '../support/fixtures.js';

/** Path of the trace-events-all that QEMU 7.2 installs. */
function traceEventsFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'events-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'trace-events-all');
  writeFileSync(path, readFixture('qemu-simple/trace-events-all'));
  return path;
}

const lines = (text: string) => text.trimEnd().split('\n');

test('events prints all names except those that are compiled out', (t) => {
  const { status, stdout } = runAgent('events', traceEventsFile(t));
  const names = lines(stdout);
  const text = readFixture('qemu-simple/trace-events-all').toString();
  // Some events have properties before their names: `vcpu guest_cpu_enter(void)`.
  const disabled = text.split('\n').filter((line) => /^disable (\w+ )*\w+\(/.test(line)).length;
  const written = text.split('\n').filter((line) => /^(\w+ )*\w+\(/.test(line)).length - disabled;
  assert.deepEqual([status, names.length, disabled > 0], [0, written, true]);
  assert.ok(names.includes('kvm_run_exit') && !names.includes('qxl_interface_set_mm_time'));
});

test('events --pattern prints matching names', (t) => {
  assert.deepEqual(lines(runAgent('events', '--pattern', 'kvm_set_ioeventfd_*', traceEventsFile(t)).stdout), [
    'kvm_set_ioeventfd_mmio',
    'kvm_set_ioeventfd_pio',
  ]);
});

test('events --used prints the events that this program understands and the file lists', (t) => {
  assert.deepEqual(lines(runAgent('events', '--used', traceEventsFile(t)).stdout).sort(), [
    'kvm_irqchip_add_msi_route',
    'kvm_run_exit',
    'kvm_set_ioeventfd_mmio',
    'kvm_set_ioeventfd_pio',
    'vhost_dev_start',
    'virtio_notify',
    'virtio_notify_irqfd',
    'virtio_pci_notify_write',
    'virtio_pci_notify_write_pio',
    'virtio_queue_notify',
    'virtio_set_status',
  ]);
});

test('events reports in one line why it prints nothing', (t) => {
  const path = traceEventsFile(t);
  const failing = (...args: string[]) => {
    const { status, stderr } = runAgent('events', ...args);
    assert.equal(status, 2);
    return stderr;
  };
  assert.match(failing('--pattern', 'nothing*', path), /none of its \d+ events matches/);
  assert.match(failing(`${path}.none`), /no such file/);
  assert.match(failing(path, path), /events takes one file/);
  writeFileSync(path, 'something else\n');
  assert.match(failing(path), /holds no trace events; expected QEMU's trace-events-all/);
});
