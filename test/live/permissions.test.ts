/**
 * docs/install lists the messages that appear when a right is missing. These tests take each right away and check that
 * the program prints the message, word for word as the page has it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { waitForLog } from '../support/guest/agent-checks.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN, ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const LIVE = { ...needs('root', 'tracefs', 'kvm-events', 'setpriv', 'unshare'), timeout: 300_000 };
const WITH_VM = { ...needs('root', 'tracefs', 'kvm-events', 'setpriv', 'kvm', 'qemu'), timeout: 300_000 };
const PAGE = readFileSync(join(ROOT, 'docs/install/README.md'), 'utf8');
const OTHER_USER = 65534;

const FOLDER = mkdtempSync(join(tmpdir(), 'rights-'));
chmodSync(FOLDER, 0o755);
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

/** Command prefix: uid 0 with these capabilities only. */
function asRoot(...capabilities: string[]): string[] {
  const kept = capabilities.map((name) => `,+${name}`).join('');
  return ['setpriv', `--bounding-set=-all${kept}`, '--inh-caps=-all', '--no-new-privs'];
}

/** Command prefix: a new mount namespace, in which `script` runs before `command`. */
function inOwnMounts(script: string, ...command: string[]): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${script} && exec "$@"`, 'sh', ...command];
}

function run(prefix: readonly string[], ...args: string[]): { status: number | null; output: string } {
  const [command = '', ...rest] = [...prefix, process.execPath, MAIN, ...args];
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', timeout: 300_000 });
  return { status, output: stdout + stderr };
}

/** Asserts that both the program's output and the page contain the message. */
function assertDocumented(message: string, output: string): void {
  assert.ok(output.includes(message), `the output does not have: ${message}\n${output}`);
  assert.ok(PAGE.includes(message), `docs/install/README.md does not have: ${message}`);
}

const runArgs = () => ['run', '--web.listen-address=127.0.0.1:0', `--tracefs.instance=${uniqueInstance()}`];

/** A missing right without which the agent does not start. */
interface RequiredRight {
  readonly without: string;
  readonly prefix: () => readonly string[];
  readonly args?: () => readonly string[];
  readonly message: string;
}

const REQUIRED_RIGHTS: readonly RequiredRight[] = [
  {
    without: 'uid 0',
    prefix: () => ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups'],
    message: "/sys/kernel/tracing: only root can read the kernel's tracing; run it as root",
  },
  {
    without: 'a writable tracefs',
    prefix: () =>
      inOwnMounts(
        'mount --bind /sys/kernel/tracing /sys/kernel/tracing && mount -o remount,bind,ro /sys/kernel/tracing',
        ...asRoot(),
      ),
    message: 'cannot make a tracing instance: tracefs is mounted read-only; mount it read-write',
  },
  {
    without: 'any tracefs',
    prefix: () => inOwnMounts('mount -t tmpfs none /sys/kernel', ...asRoot()),
    message:
      "tracefs is not mounted and cannot be: mount -t tracefs nodev /sys/kernel/tracing failed; in a container, mount the host's tracefs there; the kernel needs CONFIG_TRACING, and lockdown refuses tracefs",
  },
  {
    // A folder of another user refuses uid 0 with EACCES, as a security module would.
    without: 'permission for uid 0 to write to tracefs',
    prefix: () => asRoot(),
    args: () => {
      const tracefs = join(FOLDER, 'tracefs');
      for (const folder of ['events/kvm/kvm_exit', 'events/kvm/kvm_userspace_exit', 'instances'])
        mkdirSync(join(tracefs, folder), { recursive: true });
      chownSync(join(tracefs, 'instances'), OTHER_USER, OTHER_USER);
      return [`--path.tracefs=${tracefs}`];
    },
    message:
      "cannot make a tracing instance: permission denied although this is uid 0: AppArmor or SELinux forbids it, or it is not the host's uid 0 (user namespace)",
  },
];

for (const { without, prefix, args = () => [], message } of REQUIRED_RIGHTS)
  test(`without ${without} the agent does not start, and reports why as documented`, LIVE, () => {
    const { status, output } = run(prefix(), ...runArgs(), ...args());
    assert.equal(status, 2, output);
    assertDocumented(message, output);
  });

test("check reports a missing view of the host's process ids, as documented", LIVE, () => {
  const { status, output } = run(['unshare', '--pid', '--fork', '--mount-proc', ...asRoot()], 'check');
  assert.equal(status, 2);
  assertDocumented(
    "of a container, so the host's VMs can't be seen: share the host's process ids (hostPID: true, --pid=host), or mount its /proc and give --path.procfs=DIR",
    output,
  );
});

test('without the kvm module the agent waits, and reports that as documented', LIVE, async () => {
  const tracefs = join(FOLDER, 'no-kvm');
  mkdirSync(join(tracefs, 'events'), { recursive: true });
  mkdirSync(join(tracefs, 'instances'));
  const agent = await startAgent({ args: [`--path.tracefs=${tracefs}`], prefix: asRoot() });
  await waitForLog(agent, 'modprobe');
  assertDocumented('the kvm module is not loaded; load it with modprobe kvm_intel or kvm_amd', agent.log());
  await agent.stop();
});

/** Creates a log that belongs to another user. */
function createForeignLog(name: string, mode: number): string {
  const file = join(FOLDER, name);
  writeFileSync(file, '');
  chownSync(file, OTHER_USER, OTHER_USER);
  chmodSync(file, mode);
  return file;
}

test('logs of another user need CAP_DAC_READ_SEARCH and nothing more', LIVE, async () => {
  const option = `--qemu.log=${createForeignLog('foreign.log', 0o600)}`;
  const refused = await startAgent({ args: [option], prefix: asRoot() });
  await waitForLog(refused, "cannot follow QEMU's traces (log)");
  assertDocumented('permission denied; read it as root, or give this user the right to read it', refused.log());
  assertDocumented("cannot follow QEMU's traces (log)", refused.log());
  await refused.stop();
  const allowed = await startAgent({ args: [option], prefix: asRoot('dac_read_search') });
  assert.doesNotMatch(allowed.log(), /permission denied/);
  await allowed.stop();
});

test('QMP sockets of another user need CAP_DAC_OVERRIDE; CAP_DAC_READ_SEARCH is not enough', WITH_VM, async () => {
  const path = join(FOLDER, 'foreign.qmp');
  const qmp = ['-qmp', `unix:${path},server=on,wait=off`];
  const guest = startGuest({ name: 'vm-foreign', steps: [{ forever: { out: 0x80 } }], extraArgs: qmp });
  try {
    while (!existsSync(path)) await sleep(20);
    chownSync(path, OTHER_USER, OTHER_USER);
    chmodSync(path, 0o755);
    // CAP_SYS_PTRACE shows which process serves the socket.
    const option = `--qemu.qmp=${path}`;
    const refused = await startAgent({ args: [option], prefix: asRoot('sys_ptrace', 'dac_read_search') });
    await waitForLog(refused, "cannot ask a VM for its devices' names");
    assert.match(refused.log(), /permission denied/);
    assertDocumented("cannot ask a VM for its devices' names", refused.log());
    await refused.stop();
    const allowed = await startAgent({ args: [option], prefix: asRoot('sys_ptrace', 'dac_override') });
    const named = { vm: 'vm-foreign', address: '0x80', device: 'ioport80' };
    await allowed.scrapeUntil('names', (samples) => samples.of('kvm_io_exits_total', named).length > 0);
    assert.doesNotMatch(allowed.log(), /permission denied/);
    await allowed.stop();
  } finally {
    await guest.kill();
  }
});

test(
  'reading the trace backends of a running QEMU needs CAP_SYS_PTRACE, and check reports that as documented',
  WITH_VM,
  async () => {
    const guest = startGuest({ name: 'vm-backends', steps: [{ forever: { out: 0x80 } }] });
    try {
      while (guest.writesDone() === 0) await sleep(20);
      const lineOf = (output: string) => output.split('\n').find((line) => line.includes('vm-backends:')) ?? output;
      assertDocumented(
        "trace backends not known: its binary can't be read: run check as root with CAP_SYS_PTRACE to see them; run needs none",
        lineOf(run(asRoot(), 'check').output),
      );
      assert.match(lineOf(run(asRoot('sys_ptrace'), 'check').output), /^ok .*trace backends: [a-z]+/);
    } finally {
      await guest.kill();
    }
  },
);

test(
  'finding the VM that has a log open needs CAP_SYS_PTRACE; otherwise the name of the log is used',
  WITH_VM,
  async () => {
    const log = join(FOLDER, 'unnamed.log');
    const traced = ['-trace', 'kvm_run_exit', '-D', log];
    const guest = startGuest({ name: 'vm-owner', steps: [{ forever: { out: 0x80 } }], extraArgs: traced });
    // The log belongs to the user of both VMs, so its owner does not decide.
    const other = startGuest({ name: 'vm-other', steps: [{ forever: { out: 0x80 } }] });
    try {
      for (const [capabilities, vm] of [
        [[], 'unnamed'],
        [['sys_ptrace'], 'vm-owner'],
      ] as const) {
        const agent = await startAgent({ args: [`--qemu.log=${log}`], prefix: asRoot(...capabilities) });
        await agent.scrapeUntil(`events of ${vm}`, (samples) => samples.sum('qemu_trace_events_total', { vm }) > 0);
        await agent.stop();
      }
    } finally {
      await guest.kill();
      await other.kill();
    }
  },
);
