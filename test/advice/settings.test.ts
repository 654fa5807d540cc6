/** What the advice tells people to write, given to the programs that read it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RULES } from '../../src/advice/rules.js';
import { withoutArchCapabilities } from '../support/guest/cpu-of-host.js';
import { emptyQcow2 } from '../support/guest/empty-qcow2.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** QEMU has understood the arguments, but KVM of this host cannot do it. */
const HOST_LACKS = /kernel doesn't allow setting HyperV|is not supported by kernel|bus lock detection unsupported/;

test('QEMU starts with the arguments of every rule', needs('qemu', 'kvm', 'root'), (t) => {
  const disk = join(temporaryFolder(t, 'advice'), 'disk.qcow2');
  writeFileSync(disk, emptyQcow2());
  for (const { id, changes } of RULES) {
    if (changes.qemu === undefined) continue;
    const args = withoutArchCapabilities(changes.qemu)
      // A host without vhost makes QEMU 7.2 fail an assertion.
      .replaceAll('vhost=on', 'vhost=off')
      .replaceAll('tap,', 'tap,script=no,downscript=no,')
      .replaceAll('OVMF_CODE.fd', disk)
      .replaceAll('DISK', disk)
      .split(' ');
    const { status, stderr } = spawnSync(
      'qemu-system-x86_64',
      [...(args.includes('-accel') ? [] : ['-accel', 'kvm']), '-display', 'none', '-S', ...args, '-monitor', 'stdio'],
      { input: 'quit\n', encoding: 'utf8', timeout: 300_000 },
    );
    const lack = HOST_LACKS.exec(stderr)?.[0];
    if (lack === undefined) assert.equal(status, 0, `${id}: ${changes.qemu}\n${stderr}`);
    else t.diagnostic(`${id}: understood, and refused by KVM of this host: ${lack}`);
  }
});

test("libvirt's schema accepts the XML of every rule", needs('virt-xml-validate'), (t) => {
  const file = join(temporaryFolder(t, 'advice'), 'domain.xml');
  for (const { id, changes } of RULES) {
    if (changes.libvirt === undefined) continue;
    const os = changes.libvirt.includes('<os') ? '' : '<os><type>hvm</type></os>';
    writeFileSync(file, `<domain type='kvm'><name>vm</name><memory>1048576</memory>${os}${changes.libvirt}</domain>`);
    const { status, stderr } = spawnSync('virt-xml-validate', [file, 'domain'], { encoding: 'utf8' });
    assert.equal(status, 0, `${id}: ${changes.libvirt}\n${stderr}`);
  }
});

/** What each feature of Hyper-V requires, by QEMU's docs/system/i386/hyperv.rst. */
const HYPERV_NEEDS: Readonly<Record<string, readonly string[]>> = {
  synic: ['vpindex'],
  stimer: ['vpindex', 'synic', 'time'],
  tlbflush: ['vpindex'],
  ipi: ['vpindex'],
  evmcs: ['vapic'],
};

test('features of Hyper-V are printed with those that QEMU requires for them', () => {
  let checked = 0;
  for (const { id, changes } of RULES)
    for (const who of ['qemu', 'libvirt', 'kubevirt'] as const) {
      // Names that libvirt and KubeVirt have for features of QEMU.
      const text = changes[who]
        ?.replaceAll('synictimer', 'stimer')
        .replace(/<timer name='hypervclock' present='yes'|clock\.timer\.hyperv/, 'time');
      const words = new Set(text?.match(/[a-z]+/g));
      for (const [feature, needed] of Object.entries(HYPERV_NEEDS)) {
        if (!words.has(feature)) continue;
        for (const each of needed) assert.ok(words.has(each), `${id}, ${who}: ${feature} without ${each}`);
        checked++;
      }
    }
  assert.ok(checked > 10);
});
