/**
 * Another program changes the agent's tracing instance, empties its buffers or reads them, while a guest whose number
 * of exits is known runs. The agent never counts too few exits without saying so, and sets everything back.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type RunningAgent, startAgent, TRACEFS } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import {
  assertCountsExactly,
  FIRST_WRITES,
  ioExits,
  isReadingTracefs,
  UNTIL_KNOWN,
  warningsIn,
} from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { ringBufferStats } from '../../support/guest/ring-buffers.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import type { Step } from '../../support/guest/steps.js';
import type { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const WRITES = 100_000;
const ENOUGH = 20_000;

/** Writes the value without truncating the file first. */
const write = (instance: string, file: string, value: string) =>
  writeFileSync(join(instance, file), value, { flag: 'r+' });
/** Opens the file as a shell does for `> file`, and writes nothing. */
const truncate = (instance: string, file: string) => writeFileSync(join(instance, file), '');

const EXIT = 'events/kvm/kvm_userspace_exit';
/** An id that no thread can have: the kernel's PID_MAX_LIMIT is 4,194,304. */
const NO_THREAD = '4194305';

interface Kind {
  readonly what: string;
  readonly tamper: (instance: string, guest: RunningGuest) => void;
  /** The files that the agent's log names. */
  readonly files: readonly string[];
  /** True if the agent makes a new instance. */
  readonly isRemade?: boolean;
}

const KINDS: readonly Kind[] = [
  { what: 'empties the buffers', tamper: (at) => truncate(at, 'trace'), files: ['trace'] },
  {
    what: 'empties the buffer of each CPU',
    tamper: (at) => {
      for (const cpu of readdirSync(join(at, 'per_cpu'))) truncate(at, `per_cpu/${cpu}/trace`);
    },
    files: ['per_cpu/cpu0/trace'],
  },
  ...['mono', 'counter', 'x86-tsc', 'uptime'].map(
    (clock): Kind => ({
      what: `sets the clock ${clock}`,
      tamper: (at) => write(at, 'trace_clock', clock),
      files: ['trace_clock'],
    }),
  ),
  {
    what: 'leaves no CPU to trace but one',
    tamper: (at) => write(at, 'tracing_cpumask', '1'),
    files: ['tracing_cpumask'],
  },
  { what: 'shrinks the buffers', tamper: (at) => write(at, 'buffer_size_kb', '128'), files: ['buffer_size_kb'] },
  {
    what: 'shrinks the buffer of one CPU',
    tamper: (at) => write(at, 'per_cpu/cpu0/buffer_size_kb', '128'),
    files: ['per_cpu/cpu0/buffer_size_kb'],
  },
  {
    what: 'makes the pages of the buffers smaller',
    tamper: (at) => write(at, 'buffer_subbuf_size_kb', '4'),
    files: ['buffer_subbuf_size_kb'],
    isRemade: true,
  },
  {
    what: 'makes the pages of the buffers larger',
    tamper: (at) => write(at, 'buffer_subbuf_size_kb', '128'),
    files: ['buffer_subbuf_size_kb'],
    isRemade: true,
  },
  { what: 'frees the buffers', tamper: (at) => write(at, 'free_buffer', '\n'), files: ['free_buffer'] },
  {
    what: 'restricts tracing to one thread',
    tamper: (at) => write(at, 'set_event_pid', '1'),
    files: ['set_event_pid'],
  },
  {
    what: 'exempts the threads of the VM from tracing',
    tamper: (at, { pid }) =>
      writeFileSync(join(at, 'set_event_notrace_pid'), readdirSync(`/proc/${pid}/task`).join(' ')),
    files: ['set_event_notrace_pid'],
  },
  {
    what: 'sets a filter for all events of KVM',
    tamper: (at) => write(at, 'events/kvm/filter', `common_pid == ${NO_THREAD}`),
    files: ['events/kvm/filter'],
  },
  {
    what: 'sets a filter for one event',
    tamper: (at) => write(at, `${EXIT}/filter`, 'reason == 0'),
    files: [`${EXIT}/filter`],
  },
  {
    what: 'sets a filter and removes it at once',
    tamper: (at) => {
      write(at, `${EXIT}/filter`, 'reason == 0');
      write(at, `${EXIT}/filter`, '0');
    },
    files: [`${EXIT}/filter`],
  },
  { what: 'switches one event off', tamper: (at) => write(at, `${EXIT}/enable`, '0'), files: [`${EXIT}/enable`] },
  {
    what: 'switches the events of KVM off',
    tamper: (at) => write(at, 'events/kvm/enable', '0'),
    files: ['events/kvm/enable'],
  },
  { what: 'switches all events off', tamper: (at) => write(at, 'events/enable', '0'), files: ['events/enable'] },
  { what: 'empties the list of events', tamper: (at) => truncate(at, 'set_event'), files: ['set_event'] },
  { what: 'adds an event', tamper: (at) => write(at, 'set_event', 'sched:sched_switch'), files: ['set_event'] },
  { what: 'switches tracing off', tamper: (at) => write(at, 'tracing_on', '0'), files: ['tracing_on'] },
  {
    what: 'sets a trigger that switches tracing off',
    tamper: (at) => write(at, `${EXIT}/trigger`, 'traceoff'),
    files: [`${EXIT}/trigger`],
  },
  {
    what: 'sets a trigger with a count and a condition',
    tamper: (at) => write(at, `${EXIT}/trigger`, 'traceoff:3 if reason == 2'),
    files: [`${EXIT}/trigger`],
  },
  {
    what: 'sets a trigger that switches another event off',
    tamper: (at) => write(at, 'events/kvm/kvm_pio/trigger', 'disable_event:kvm:kvm_userspace_exit'),
    files: ['events/kvm/kvm_pio/trigger'],
  },
  {
    what: 'has the kernel refuse new events while the buffer is full',
    tamper: (at) => write(at, 'trace_options', 'nooverwrite'),
    files: ['trace_options'],
  },
  {
    what: 'has the kernel stop while a program reads the trace',
    tamper: (at) => {
      write(at, 'options/pause-on-trace', '1');
      readFileSync(join(at, 'trace'));
    },
    files: ['options/pause-on-trace'],
  },
  {
    what: 'starts a tracer of functions',
    tamper: (at) => write(at, 'current_tracer', 'function'),
    files: ['current_tracer'],
  },
  { what: 'swaps the buffers for a snapshot', tamper: (at) => write(at, 'snapshot', '1'), files: ['snapshot'] },
  {
    what: 'changes several settings',
    tamper: (at) => {
      write(at, 'buffer_size_kb', '128');
      write(at, 'trace_clock', 'counter');
      write(at, 'set_event_pid', '1');
      write(at, 'events/kvm/filter', `common_pid == ${NO_THREAD}`);
      write(at, 'tracing_on', '0');
    },
    files: ['buffer_size_kb', 'trace_clock', 'set_event_pid', 'events/kvm/filter', 'tracing_on'],
  },
];

const gaps = (samples: Samples) => samples.sum('kvm_exit_exporter_unknown_gaps_total', { source: 'tracefs' });
const lost = (samples: Samples) => samples.sum('kvm_exit_exporter_lost_events_total', { source: 'tracefs' });

/** A guest of {@link WRITES} port writes that takes two seconds and more, after some first steps. */
function startPacedGuest(name: string, first: readonly Step[] = []): RunningGuest {
  const times = 400;
  return startGuest({ name, steps: [...first, { bursts: { out: 0x80, times, everyMs: 8, ticks: WRITES / times } }] });
}

/** True if a process has a pipe of the trace open. */
function hasOpenPipe(pid: number | undefined): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => readlinkSync(join(folder, fd)).endsWith('/trace_pipe_raw'));
  } catch {
    // A descriptor was closed meanwhile, or the process has ended.
    return false;
  }
}

/** The events that the agent switches on. */
const EVENTS = ['exit', 'entry', 'userspace_exit', 'pio', 'mmio', 'fast_mmio', 'msi_set_irq'];

/** The settings of an instance that other programs can read, without buffers and statistics. */
function settingsOf(instance: string): Record<string, string> {
  const files = readdirSync(instance).filter(
    (name) => !/^(trace|trace_pipe|trace_marker.*|free_buffer|per_cpu|events|options|snapshot)$/.test(name),
  );
  const eventFiles = EVENTS.flatMap((event) =>
    ['enable', 'filter', 'trigger'].map((file) => `events/kvm/kvm_${event}/${file}`),
  );
  return Object.fromEntries([...files, ...eventFiles].map((file) => [file, tryRead(join(instance, file))]));
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return String(error);
  }
}

/** The number of warnings about files of this name. */
function linesAbout(agent: RunningAgent, file: string): number {
  const named = new RegExp(`level=warn .* file=(\\S+/)?${basename(file)}$`, 'gm');
  return agent.log().match(named)?.length ?? 0;
}

for (const { what, tamper, files, isRemade = false } of KINDS) {
  test(`another program ${what}: a gap is counted, and everything is set back`, liveTest(), async (t) => {
    const agent = await startAgent();
    const instance = join(TRACEFS, 'instances', agent.instance);
    for (const file of files) if (!existsSync(join(instance, file))) return t.skip(`this kernel has no ${file}`);
    const before = settingsOf(instance);
    const { ino } = statSync(instance);
    const guest = startPacedGuest('tampered');
    await agent.scrapeUntil('the guest runs', (now) => ioExits(now, 'tampered') > ENOUGH);
    try {
      tamper(instance, guest);
    } catch (error) {
      await guest.kill();
      return t.skip(`this kernel refuses that: ${error}`);
    }
    await guest.finished();
    const isSetBack = () =>
      files.every((file) => linesAbout(agent, file) > 0) && isDeepStrictEqual(settingsOf(instance), before);
    await agent.scrapeUntil('a gap, its lines and the settings', (now) => gaps(now) > 0 && isSetBack());
    await sleep(1000);
    const samples = await agent.scrape();
    const counted = ioExits(samples, 'tampered');
    // Reverted within milliseconds, so most exits are counted; and those that are not are known to be missing.
    assert.ok(counted <= WRITES + 1 && counted > ENOUGH, `${counted} exits counted`);
    t.diagnostic(`${counted} of ${WRITES + 1} exits counted, ${lost(samples)} lost, ${gaps(samples)} gaps`);
    assert.ok(isReadingTracefs(samples));
    for (const file of files) assert.equal(linesAbout(agent, file), 1, agent.log());
    assert.deepEqual(settingsOf(instance), before);
    assert.equal(statSync(instance).ino !== ino, isRemade, 'a new instance');
    const gapsBefore = gaps(samples);
    await assertCountsExactly(agent, 'set-back');
    assert.equal(gaps(await agent.scrape()), gapsBefore);
    await agent.stop();
  });
}

test('the instance is left alone: no gap is counted', liveTest(), async () => {
  const agent = await startAgent();
  const guest = startPacedGuest('untouched');
  await guest.finished();
  const samples = await agent.scrapeUntil('all exits', (now) => ioExits(now, 'untouched') === WRITES + 1);
  assert.deepEqual([gaps(samples), lost(samples)], [0, 0]);
  assert.deepEqual(warningsIn(agent.log()), []);
  await agent.stop();
});

for (const reader of ['binary', 'text'])
  test(
    `another program reads the buffers, beside the ${reader} reader: what it took is counted as lost`,
    liveTest(),
    async () => {
      const agent = await startAgent({ args: [`--tracefs.reader=${reader}`] });
      const instance = join(TRACEFS, 'instances', agent.instance);
      const guest = startPacedGuest('stolen', UNTIL_KNOWN);
      await agent.scrapeUntil('the guest runs', (now) => ioExits(now, 'stolen') > 0);
      const thieves = readdirSync(join(instance, 'per_cpu')).map((cpu) =>
        spawn('cat', [join(instance, 'per_cpu', cpu, 'trace_pipe_raw')], { stdio: 'ignore' }),
      );
      const ended = Promise.all(thieves.map((thief) => new Promise((resolve) => thief.once('close', resolve))));
      const kill = endLater(async () => {
        for (const thief of thieves) thief.kill('SIGKILL');
        await ended;
      });
      while (!thieves.every(({ pid, exitCode }) => exitCode !== null || hasOpenPipe(pid))) await sleep(20);
      guest.goOn();
      await guest.finished();
      for (const thief of thieves) thief.kill('SIGKILL');
      await ended;
      kill();
      const events = (now: Samples) => now.sum('kvm_exit_exporter_events_total', { source: 'tracefs' });
      const samples = await agent.scrapeUntil('counted + lost = read, by the statistics of the kernel', (now) => {
        // Other VMs of this host may go on, so the buffers are not empty.
        const stats = ringBufferStats(agent.instance);
        return events(now) + lost(now) === stats.read + stats.lost;
      });
      assert.ok(lost(samples) > 0);
      assert.ok(ioExits(samples, 'stolen') < FIRST_WRITES + WRITES + 1);
      assert.equal(gaps(samples), 0);
      assert.match(agent.log(), /level=warn msg="another program reads our tracing instance/);
      await assertCountsExactly(agent, 'after-theft');
      await agent.stop();
    },
  );

/** Makes inotify unavailable, as it is for a process after fs.inotify.max_user_instances. */
const WITHOUT_INOTIFY = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  fs.watch = () => { throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' }); };
  syncBuiltinESMExports();`;

test('without inotify, the agent finds changes by reading the settings', liveTest(), async () => {
  const preload = `data:text/javascript,${encodeURIComponent(WITHOUT_INOTIFY)}`;
  const agent = await startAgent({ prefix: ['env', `NODE_OPTIONS=--import=${preload}`] });
  const instance = join(TRACEFS, 'instances', agent.instance);
  const before = settingsOf(instance);
  const guest = startPacedGuest('unwatched');
  await agent.scrapeUntil('the guest runs', (now) => ioExits(now, 'unwatched') > ENOUGH);
  write(instance, 'trace_clock', 'counter');
  write(instance, 'tracing_on', '0');
  await guest.finished();
  await agent.scrapeUntil('a gap', (now) => gaps(now) > 0 && isDeepStrictEqual(settingsOf(instance), before));
  await assertCountsExactly(agent, 'set-back');
  truncate(instance, 'trace');
  await agent.scrapeUntil('another gap', (now) => gaps(now) > 1);
  await agent.stop();
});

test('a program that changes a setting again and again fills neither the log nor the agent', liveTest(), async () => {
  const agent = await startAgent();
  const instance = join(TRACEFS, 'instances', agent.instance);
  for (const endMs = performance.now() + 3000; performance.now() < endMs; ) {
    try {
      write(instance, 'tracing_on', '0');
    } catch {
      // The agent makes a new instance.
    }
    await sleep(1);
  }
  // The agent makes a last new instance within two seconds.
  await sleep(3000);
  await agent.scrapeUntil('tracing is on', () => tryRead(join(instance, 'tracing_on')) === '1\n');
  assert.equal(linesAbout(agent, 'tracing_on'), 1, agent.log());
  assert.ok(gaps(await agent.scrape()) > 1);
  await assertCountsExactly(agent, 'after-fight');
  await agent.stop();
});

test('durations stay those of the guest while the clock is changed', liveTest(), async () => {
  const agent = await startAgent();
  const instance = join(TRACEFS, 'instances', agent.instance);
  const startMs = performance.now();
  const guest = startPacedGuest('clocks');
  for (const clock of ['counter', 'x86-tsc', 'mono', 'uptime', 'global']) {
    await sleep(300);
    write(instance, 'trace_clock', clock);
  }
  await guest.finished();
  const samples = await agent.scrape();
  const seconds = (performance.now() - startMs) / 1000;
  const spent = samples.sum('kvm_vcpu_seconds_total', { vm: 'clocks' });
  assert.ok(spent <= seconds, `${spent} s within ${seconds} s`);
  await agent.stop();
});
