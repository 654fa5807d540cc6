/** What docs/install says that shows where a right is missing: the program is put there and has to say so, in the very words of the page. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, uniqueInstance } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN, ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const LIVE = { ...needs('root', 'tracefs', 'kvm-events', 'setpriv', 'unshare'), timeout: 60_000 };
const WITH_VM = { ...needs('root', 'tracefs', 'kvm-events', 'setpriv', 'kvm', 'qemu'), timeout: 60_000 };
const PAGE = readFileSync(join(ROOT, 'docs/install/README.md'), 'utf8');
const NOBODY = 65534;

const FOLDER = mkdtempSync(join(tmpdir(), 'rights-'));
chmodSync(FOLDER, 0o755);
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

/** uid 0 with these capabilities and no others. */
function root(...capabilities: string[]): string[] {
  const kept = capabilities.map((name) => `,+${name}`).join('');
  return ['setpriv', `--bounding-set=-all${kept}`, '--inh-caps=-all', '--no-new-privs'];
}

/** In a mount namespace of its own, after `script`. */
function inMounts(script: string, ...command: string[]): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${script} && exec "$@"`, 'sh', ...command];
}

function say(prefix: readonly string[], ...args: string[]): { status: number | null; said: string } {
  const [command = '', ...rest] = [...prefix, process.execPath, MAIN, ...args];
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', timeout: 30_000 });
  return { status, said: stdout + stderr };
}

/** The program says `words`, and so does the page. */
function assertSaid(words: string, said: string): void {
  assert.ok(said.includes(words), `not said: ${words}\n${said}`);
  assert.ok(PAGE.includes(words), `not on the page: ${words}`);
}

async function until(agent: RunningAgent, words: string): Promise<void> {
  for (let tries = 0; !agent.log().includes(words); tries++) {
    assert.ok(tries < 400, `not said: ${words}\n${agent.log()}`);
    await sleep(50);
  }
}

const run = () => ['run', '--web.listen-address=127.0.0.1:0', `--tracefs.instance=${uniqueInstance()}`];

interface NoStart {
  readonly without: string;
  readonly prefix: () => readonly string[];
  readonly args?: () => readonly string[];
  readonly words: string;
}

const NO_START: readonly NoStart[] = [
  {
    without: 'uid 0',
    prefix: () => ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
    words: 'tracefs is not mounted, or not for this user to see; as root: mount -t tracefs nodev /sys/kernel/tracing',
  },
  {
    without: 'a tracefs that can be written to',
    prefix: () =>
      inMounts(
        'mount --bind /sys/kernel/tracing /sys/kernel/tracing && mount -o remount,bind,ro /sys/kernel/tracing',
        ...root(),
      ),
    words: 'cannot make a tracing instance: tracefs is mounted read-only; mount it read-write',
  },
  {
    without: 'any tracefs',
    prefix: () => inMounts('mount -t tmpfs none /sys/kernel', ...root()),
    words:
      "tracefs is not mounted and cannot be: mount -t tracefs nodev /sys/kernel/tracing failed; a container needs the host's bound to that place, the kernel CONFIG_TRACING, and lockdown refuses it",
  },
  {
    // Folders of another user refuse uid 0 as a security module does: EACCES.
    without: 'the right of uid 0 to write there',
    prefix: () => root(),
    args: () => {
      const tracefs = join(FOLDER, 'tracefs');
      for (const folder of ['events/kvm/kvm_exit', 'events/kvm/kvm_userspace_exit', 'instances'])
        mkdirSync(join(tracefs, folder), { recursive: true });
      chownSync(join(tracefs, 'instances'), NOBODY, NOBODY);
      return [`--path.tracefs=${tracefs}`];
    },
    words:
      "cannot make a tracing instance: permission denied although this is uid 0: AppArmor or SELinux forbids it, or it is not the host's uid 0 (user namespace)",
  },
];

for (const { without, prefix, args = () => [], words } of NO_START)
  test(`without ${without} it does not start, and says why as the page does`, LIVE, () => {
    const { status, said } = say(prefix(), ...run(), ...args());
    assert.equal(status, 2, said);
    assertSaid(words, said);
  });

test("without the host's process ids check says so, as the page does", LIVE, () => {
  const { status, said } = say(['unshare', '--pid', '--fork', '--mount-proc', ...root()], 'check');
  assert.equal(status, 2);
  assertSaid(
    "of a container, so the host's VMs can't be seen: share the host's process ids (hostPID: true, --pid=host), or mount its /proc and give --path.procfs=DIR",
    said,
  );
});

test('without the kvm module it waits, and says so as the page does', LIVE, async () => {
  const tracefs = join(FOLDER, 'no-kvm');
  mkdirSync(join(tracefs, 'events'), { recursive: true });
  mkdirSync(join(tracefs, 'instances'));
  const agent = await startAgent({ args: [`--path.tracefs=${tracefs}`], prefix: root() });
  assertSaid('the kvm module is not loaded; load it with modprobe kvm_intel or kvm_amd', agent.log());
  await agent.stop();
});

/** A file that only another user may read. */
function logOf(name: string, mode: number): string {
  const file = join(FOLDER, name);
  writeFileSync(file, '');
  chownSync(file, NOBODY, NOBODY);
  chmodSync(file, mode);
  return file;
}

test("QEMU's logs of others take CAP_DAC_READ_SEARCH, and nothing more", LIVE, async () => {
  const option = `--qemu.log=${logOf('other.log', 0o600)}`;
  const refused = await startAgent({ args: [option], prefix: root() });
  assertSaid('permission denied; read it as root, or give this user the right to read it', refused.log());
  assertSaid("following QEMU's traces (log)", refused.log());
  await refused.stop();
  const allowed = await startAgent({ args: [option], prefix: root('dac_read_search') });
  assert.doesNotMatch(allowed.log(), /permission denied/);
  await allowed.stop();
});

test('QMP sockets of others take CAP_DAC_OVERRIDE; CAP_DAC_READ_SEARCH is not enough', LIVE, async () => {
  const path = join(FOLDER, 'other.qmp');
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  chownSync(path, NOBODY, NOBODY);
  chmodSync(path, 0o755);
  for (const [capability, isRefused] of [
    ['dac_read_search', true],
    ['dac_override', false],
  ] as const) {
    const agent = await startAgent({ args: [`--qemu.qmp=${path}`], prefix: root(capability) });
    await until(agent, "cannot ask a VM for its devices' names");
    assert.equal(agent.log().includes('permission denied'), isRefused, agent.log());
    if (isRefused) assertSaid("cannot ask a VM for its devices' names", agent.log());
    await agent.stop();
  }
  await new Promise((resolve) => server.close(resolve));
});

test(
  'the trace backends of a running QEMU take CAP_SYS_PTRACE, and check says so as the page does',
  WITH_VM,
  async () => {
    const guest = startGuest({ name: 'vm-rights', steps: [{ forever: { out: 0x80 } }] });
    try {
      const lineOf = (said: string) => said.split('\n').find((line) => line.includes('vm-rights:')) ?? said;
      assertSaid(
        "trace backends not known: its binary can't be read: run check as root with CAP_SYS_PTRACE to see them; run needs none",
        lineOf(say(root(), 'check').said),
      );
      assert.match(lineOf(say(root('sys_ptrace'), 'check').said), /^ok .*trace backends: [a-z]+/);
    } finally {
      await guest.kill();
    }
  },
);

test(
  'whose a file is that does not tell takes CAP_SYS_PTRACE; without it counts stand under its name',
  WITH_VM,
  async () => {
    const log = join(FOLDER, 'unnamed.log');
    const traced = ['-trace', 'kvm_run_exit', '-D', log];
    const guest = startGuest({ name: 'vm-owner', steps: [{ forever: { out: 0x80 } }], extraArgs: traced });
    try {
      for (const [capabilities, vm] of [
        [[], 'unnamed'],
        [['sys_ptrace'], 'vm-owner'],
      ] as const) {
        const agent = await startAgent({ args: [`--qemu.log=${log}`], prefix: root(...capabilities) });
        await agent.scrapeUntil(`events of ${vm}`, (samples) => samples.sum('qemu_trace_events_total', { vm }) > 0);
        await agent.stop();
      }
    } finally {
      await guest.kill();
    }
  },
);
