import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { InstanceSettings } from '../../../../src/source/tracefs/control/instance-settings.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

/** A folder with the files of an instance that records two events. */
function instanceWithEvents(t: TestContext): string {
  const instance = temporaryFolder(t, 'settings');
  for (const event of ['kvm_exit', 'kvm_entry']) {
    const folder = join(instance, 'events/kvm', event);
    mkdirSync(folder, { recursive: true });
    for (const [file, content] of Object.entries({ enable: '1', filter: 'none', trigger: '# none' }))
      writeFileSync(join(folder, file), `${content}\n`);
  }
  writeFileSync(join(instance, 'tracing_on'), '1\n');
  writeFileSync(join(instance, 'set_event'), '');
  return instance;
}

const EVENTS = ['kvm:kvm_exit', 'kvm:kvm_entry'];

test('an event whose folder is gone is missing: its module was unloaded', (t) => {
  const instance = instanceWithEvents(t);
  const settings = new InstanceSettings(instance, EVENTS);
  assert.equal(settings.missing(), undefined);
  rmSync(join(instance, 'events/kvm/kvm_entry'), { recursive: true });
  assert.equal(settings.missing(), 'events/kvm/kvm_entry/enable');
});

test('an instance that is gone is missing, also one without events: tracefs was unmounted', (t) => {
  const instance = instanceWithEvents(t);
  const [withEvents, without] = [new InstanceSettings(instance, EVENTS), new InstanceSettings(instance, [])];
  rmSync(instance, { recursive: true });
  assert.match(withEvents.missing() ?? '', /^(events|tracing_on)/);
  assert.equal(without.missing(), 'tracing_on');
});
