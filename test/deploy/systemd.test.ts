/** The systemd unit, checked by systemd-analyze, and its example configuration. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Flag, OPTIONS } from '../../src/config/options.js';
import { parseCommandLine } from '../../src/config/parse-command-line.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'systemd-'));
after(() => rmSync(FOLDER, { recursive: true }));

const UNIT = readFileSync(join(ROOT, 'deploy/systemd/kvm-exit-exporter.service'), 'utf8');
const CONFIG = join(ROOT, 'deploy/systemd/config.yml');
const SYSTEMD = needs('systemd-analyze');

/** All values of a directive. */
function directive(name: string): string[] {
  return [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

/** Writes the unit with an existing program, because the agent may not be installed here; returns its path. */
function unitFile(): string {
  const file = join(FOLDER, 'kvm-exit-exporter.service');
  writeFileSync(file, UNIT.replace('/usr/local/bin/kvm-exit-exporter', '/bin/true'));
  return file;
}

test('systemd-analyze accepts the unit', SYSTEMD, () => {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unitFile()], {
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout + stderr], [0, '']);
});

test('systemd-analyze rates the exposure of the service at 2 of 10 or less', SYSTEMD, () => {
  const { stdout, stderr } = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--no-pager', '--threshold=100', unitFile()],
    { encoding: 'utf8' },
  );
  const level = /Overall exposure level for \S+: ([\d.]+) /.exec(stdout)?.[1];
  assert.ok(Number(level) <= 2, `${level} ${stderr}`);
});

test('the service has no capability and can write only to tracing instances', () => {
  assert.deepEqual(directive('CapabilityBoundingSet'), ['']);
  assert.deepEqual(directive('AmbientCapabilities'), ['']);
  assert.deepEqual(directive('ProtectSystem'), ['strict']);
  assert.deepEqual(directive('ReadWritePaths'), ['/sys/kernel/tracing/instances']);
});

test('the service and the image set the same variables of malloc', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const ofImage = [...dockerfile.matchAll(/\bMALLOC_\w+=\d+/g)].map(([variable]) => variable);
  assert.ok(ofImage.length > 0);
  assert.deepEqual(directive('Environment'), ofImage);
});

test('the service uses sd_notify (see e2e/notify.test.ts), and SIGHUP reloads it', () => {
  assert.deepEqual(
    [directive('Type'), directive('NotifyAccess'), directive('WatchdogSec')],
    [['notify'], ['all'], ['60s']],
  );
  assert.deepEqual(directive('ExecReload'), ['/bin/kill -HUP $MAINPID']);
});

test('the program accepts the command line of the unit', () => {
  const [start = ''] = directive('ExecStart');
  const [program, ...args] = start.split(' ');
  assert.match(program ?? '', /\/kvm-exit-exporter$/);
  assert.ok(args.includes('--config.file=/etc/kvm-exit-exporter/config.yml'));
  const here = args.map((arg) => arg.replace('/etc/kvm-exit-exporter/config.yml', CONFIG));
  assert.equal(parseCommandLine(here, {}).command, 'run');
});

test('the example is a valid configuration whose values are the defaults', () => {
  const { get } = parseCommandLine(['run', `--config.file=${CONFIG}`], {});
  const defaults = parseCommandLine(['run'], {});
  const given = OPTIONS.map(({ flag }): Flag => flag).filter((flag) => flag !== 'config.file');
  for (const flag of given) assert.deepEqual(get(flag), defaults.get(flag), flag);
  assert.deepEqual(get('web.listen-address'), [{ host: undefined, port: 10586 }]);
});

test('the commented-out lines of the example are valid options', () => {
  const all = readFileSync(CONFIG, 'utf8').replace(/^( *)# ?( *[a-z.-]+:(?: \S+)?)$/gm, '$1$2');
  const file = join(FOLDER, 'config.yml');
  writeFileSync(file, all);
  const { get } = parseCommandLine(['run', `--config.file=${file}`], {});
  assert.deepEqual(
    [get('web.config.file'), get('qemu.log'), get('otlp.endpoint')?.origin, get('otlp.interval')],
    ['/etc/kvm-exit-exporter/web.yml', ['/var/log/libvirt/qemu/*.log'], 'http://localhost:4318', 30],
  );
});
