/** `top` in a real terminal, with the figures of an agent of 100 VMs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { answersOf, manyVms, ratesOf, startFakeAgent, vmRowOf } from '../support/agent/fake-agent.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { PROGRAM, PROGRAM_ARGS, ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { Tmux } from '../support/tmux.js';

afterEach(endAll);

const TOP = [PROGRAM, ...PROGRAM_ARGS, 'top'].join(' ');
const inTmux = { ...needs('tmux'), timeout: 600_000 };

/** Names in the rows of the list, from the top. */
const namesOn = (screen: readonly string[]) => screen.flatMap((line) => /^(vm-\d+) /.exec(line)?.[1] ?? []);

function start(url: string, columns = 80, rows = 24, ...args: string[]): Tmux {
  const tmux = new Tmux(columns, rows);
  tmux.line(`stty -a >before; ${TOP} --url ${url} --interval 500ms ${args.join(' ')}; echo "code $?"`);
  return tmux;
}

test('80x24: the worst of 100 VMs first; bar, order, filter and help', inTmux, async () => {
  const { url } = await startFakeAgent();
  const tmux = start(url);
  const screen = await tmux.until(/vm-19 [\s\S]*vm-1: .*\nq end/);
  assert.equal(screen.length, 24);
  assert.ok(screen.every((line) => line.length <= 80));
  assert.match(screen[0] ?? '', /^top: http:\/\/127.*:\d+ - every 0\.5 s - by exits to QEMU/);
  assert.match(screen[1] ?? '', /^100 VMs, 1\.00M exits\/s to KVM, 495k to QEMU, over 10\.0 s/);
  assert.match(screen[2] ?? '', /^VM +CPU +KVM\/s QEMU\/s toQEMU +gst +kvm qemu +rdy idle top reason$/);
  assert.match(screen[3] ?? '', /^vm-1 +4 +10\.0k +5000 +50\.0% +50% +20% +10% +5% +15% KVM_EXIT_IO$/);
  assert.deepEqual(
    namesOn(screen),
    Array.from({ length: 19 }, (_, index) => `vm-${index + 1}`),
  );
  assert.match(screen[22] ?? '', /^vm-1: The guest drives an emulated disk, costs 40%; KVM_EXIT_IO 5,000\/s, 40%/);

  tmux.press('End');
  assert.equal(namesOn(await tmux.until(/vm-100 .*\nvm-100: /)).at(-1), 'vm-100');
  tmux.press('Home', 's');
  await tmux.until('by time in KVM and QEMU');
  tmux.press('s', 's');
  // VM 100 has most exits to KVM.
  assert.equal(namesOn(await tmux.until(/by exits to KVM[\s\S]*vm-100 /))[0], 'vm-100');
  tmux.press('r');
  assert.equal(namesOn(await tmux.until(/reversed[\s\S]*vm-1 /))[0], 'vm-1');
  tmux.press('/', '9', '9');
  assert.deepEqual(namesOn(await tmux.until('filter: 99_')), ['vm-99']);
  tmux.press('x', 'Enter');
  await tmux.until('No VM has "99x" in its name');
  tmux.press('Escape', 'h');
  await tmux.until('reverse the order');
  tmux.press('q');
  await tmux.until('code 0');
});

test('the title names the VMs that were asked for, also if none is there', inTmux, async () => {
  const { url } = await startFakeAgent();
  const tmux = start(url, 120, 24, '--vm', 'web-1,web-2');
  const screen = await tmux.until('No VM has been seen yet');
  assert.match(screen[0] ?? '', /^top: http:\/\/127.*:\d+, --vm web-1,web-2 - every 0\.5 s/);
});

test('Enter opens a VM, and Esc goes back', inTmux, async () => {
  const { url, requests } = await startFakeAgent();
  const tmux = start(url);
  await tmux.until('vm-1 ');
  tmux.press('Down', 'Enter');
  const screen = await tmux.until(/Reasons, the costliest first[\s\S]*^q end/m);
  assert.equal(screen[1], 'vm-2');
  assert.match(screen.join('\n'), /^qemu +KVM_EXIT_IO +1,234 +123 +25% +2 ms +1 ms +30 ms$/m);
  assert.match(screen.join('\n'), /^0 +1\.0 +2\.0 +\? +\? +\? +\? +\?$/m);
  assert.match(screen.join('\n'), /^\.\.\. and 3 more$/m);
  assert.ok(requests.includes('/api/vm?name=vm-2'));
  tmux.press('Escape');
  await tmux.until('vm-19 ');
});

test('a resized terminal shows what fits', inTmux, async () => {
  const { url } = await startFakeAgent();
  const tmux = start(url);
  await tmux.until('vm-19 ');
  tmux.resize(140, 40);
  const large = await tmux.until(/vm-35 .*emulated-disk 40%\nvm-1: .*\nq end/);
  assert.equal(namesOn(large).length, 35);
  assert.match(large[2] ?? '', /top reason +top device +finding$/);
  tmux.resize(30, 8);
  const small = await tmux.until(/^VM +CPU +KVM\/s QEMU\/s$[\s\S]*^vm-3 [\s\S]*^q end/m);
  assert.deepEqual(namesOn(small), ['vm-1', 'vm-2', 'vm-3']);
  assert.ok(small.every((line) => line.length <= 30));
  tmux.resize(10, 3);
  await tmux.until(/^top: http…$/m);
  tmux.press('q');
  tmux.resize(80, 24);
  await tmux.until('code 0');
});

test('names of VMs do nothing to the terminal, and wide ones keep the columns', inTmux, async () => {
  const names = [
    '\u001b[2J\u001b]0;owned\u0007',
    '虚拟机',
    '\u202eevil',
    'e\u0301'.repeat(40),
    `long-${'x'.repeat(300)}`,
  ];
  const { url } = await startFakeAgent(
    answersOf(names.map((vm, index) => vmRowOf({ vm, vcpus: 7, qemu_exits_per_second: 10 - index }))),
  );
  const tmux = start(url);
  const screen = await tmux.until(/虚拟机[\s\S]*^long-x[\s\S]*^q end/m);
  assert.match(screen[3] ?? '', /^\ufffd\[2J\ufffd\]0;own/);
  assert.match(screen.join('\n'), /^\ufffdevil /m);
  // tmux shows a character of two columns as one, so the figures of that line begin further left.
  assert.equal(screen.filter((line) => / 7 +\? +\d+\.?\d* +\? /.test(line)).length, 5);
  tmux.press('Down', 'Down', 'Down', 'Down', 'Enter');
  await tmux.until('long-xxx');
});

const ENDS: readonly (readonly [way: string, end: (tmux: Tmux) => void])[] = [
  ['q', (tmux) => tmux.press('q')],
  ['Ctrl-C', (tmux) => tmux.press('C-c')],
  ['SIGINT', (tmux) => tmux.signal('SIGINT')],
  ['SIGTERM', (tmux) => tmux.signal('SIGTERM')],
  ['SIGHUP', (tmux) => tmux.signal('SIGHUP')],
  ['SIGQUIT', (tmux) => tmux.signal('SIGQUIT')],
];

for (const [way, end] of ENDS)
  test(`${way} leaves the terminal as it was`, inTmux, async () => {
    const { url } = await startFakeAgent();
    const tmux = start(url);
    await tmux.until('vm-1 ');
    assert.equal(tmux.modes(), '1 0 0');
    end(tmux);
    await tmux.until('code 0');
    assert.equal(tmux.modes(), '0 1 1');
    tmux.line('stty -a | cmp - before && echo same');
    await tmux.until('same');
  });

for (const [way, stop] of [
  ['Ctrl-Z', (tmux: Tmux) => tmux.press('C-z')],
  ['SIGTSTP', (tmux: Tmux) => tmux.signal('SIGTSTP')],
] as const)
  test(`${way} gives the terminal back, and fg takes it again`, inTmux, async () => {
    const { url } = await startFakeAgent();
    const tmux = start(url);
    await tmux.until('vm-1 ');
    stop(tmux);
    await tmux.until('Stopped');
    assert.equal(tmux.modes(), '0 1 1');
    tmux.line('stty -a | cmp - before && echo same');
    await tmux.until('same');
    tmux.line('fg');
    await tmux.until('vm-19 ');
    assert.equal(tmux.modes(), '1 0 0');
    tmux.press('Down', 'Enter');
    await tmux.until('Reasons, the costliest first');
    tmux.press('q');
    await tmux.until('READY');
    assert.equal(tmux.modes(), '0 1 1');
  });

test('Ctrl-Z does nothing where no shell could continue the program', inTmux, async () => {
  const { url } = await startFakeAgent();
  const tmux = new Tmux(80, 24, `${TOP} --url ${url}`);
  await tmux.until(/vm-19 [\s\S]*^q end/m);
  tmux.press('C-z');
  await sleep(1000);
  assert.equal(tmux.modes(), '1 0 0');
  tmux.press('h');
  await tmux.until('reverse the order');
});

test('q ends the program while an answer is awaited', inTmux, async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    // The first answer fills the screen. No further one comes.
    if (asked === 1) response.end(JSON.stringify(ratesOf(manyVms(3))));
  }).listen(0, '127.0.0.1');
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const tmux = start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await tmux.until('vm-3 ');
  while (asked < 2) await sleep(50);
  tmux.press('q');
  await tmux.until('code 0');
  assert.equal(asked, 2);
});

test('the program ends with its terminal, also if it ignores SIGHUP', inTmux, async () => {
  const { url } = await startFakeAgent();
  for (const prefix of ['', "trap '' HUP; "]) {
    const tmux = new Tmux(80, 24);
    tmux.line(`${prefix}${TOP} --url ${url}`);
    await tmux.until('vm-19 ');
    const pid = tmux.foreground();
    tmux.close();
    const isGone = () => !existsSync(`/proc/${pid}`);
    for (const endMs = Date.now() + 60_000; !isGone() && Date.now() < endMs; ) await sleep(50);
    assert.ok(isGone(), `${prefix}${pid} still runs`);
  }
});

test('a pipe whose reader is gone ends --batch quietly', inTmux, async () => {
  const { url } = await startFakeAgent();
  const tmux = new Tmux(80, 24);
  const batch = `${TOP} --url ${url} --batch --interval 500ms`;
  tmux.line(`${batch} 2>errors | head -n 2; echo "codes \${PIPESTATUS[*]}, $(wc -c <errors) bytes"`);
  await tmux.until('codes 0 0, 0 bytes');
});

test('an agent that ends is said to be gone, and found again', inTmux, async () => {
  const agent = await startFakeAgent();
  const tmux = start(agent.url);
  await tmux.until('vm-1 ');
  await agent.stop();
  const screen = await tmux.until('NO ANSWER, trying again');
  assert.match(screen[0] ?? '', /connection refused/);
  assert.equal(namesOn(screen)[0], 'vm-1');
  await startFakeAgent(answersOf(manyVms(3)), Number(new URL(agent.url).port));
  const again = await tmux.until(/^3 VMs/m);
  assert.doesNotMatch(again[0] ?? '', /NO ANSWER/);
});

test('an agent that is killed is said to be gone, and top goes on', inTmux, async () => {
  const agent = await WebAgent.start();
  const tmux = start(agent.url);
  await tmux.until('legacy-db');
  agent.process.kill('SIGKILL');
  const screen = await tmux.until('NO ANSWER, trying again');
  assert.match(screen.join('\n'), /^legacy-db /m);
  tmux.press('q');
  await tmux.until('code 0');
  assert.equal(tmux.modes(), '0 1 1');
});

test('an agent that was dead at the start: one line, exit code 2, and the terminal as it was', inTmux, async () => {
  // Wide enough for the command and the message.
  const tmux = start(`http://127.0.0.1:${await freePort()}`, 300);
  const screen = (await tmux.until('code 2')).join('\n');
  assert.match(screen, /^kvm-exit-exporter: http:\S+: connection refused; is the agent running\?\ncode 2$/m);
  assert.equal(screen.match(/^kvm-exit-exporter: /gm)?.length, 1);
  assert.equal(tmux.modes(), '0 1 1');
  tmux.line('stty -a | cmp - before && echo same');
  await tmux.until('same');
});

test('a bug leaves the terminal as it was, and its message stays', inTmux, async (t) => {
  const folder = temporaryFolder(t, 'top');
  const [script, bug] = [join(folder, 'bug.mjs'), join(folder, 'bug')];
  const module = (path: string) => pathToFileURL(join(ROOT, 'build/src', path)).href;
  writeFileSync(
    script,
    `import { Session } from '${module('commands/top/session.js')}';
     import { newState } from '${module('commands/top/ui-state.js')}';
     import { existsSync } from 'node:fs';
     setInterval(() => { if (existsSync('${bug}')) throw new Error('what a bug'); }, 50);
     const source = { name: 'none', current: async () => ({ seconds: 1, vms: [], lost_events: 0, sources: [] }) };
     await new Session(source, newState('qemu', 500)).run();`,
  );
  const tmux = new Tmux(80, 24);
  tmux.line(`stty -a >before; ${process.execPath} ${script}; echo "code $?"`);
  await tmux.until('No VM has been seen yet');
  writeFileSync(bug, '');
  await tmux.until(/Error: what a bug[\s\S]*code 1/);
  assert.equal(tmux.modes(), '0 1 1');
  tmux.line('stty -a | cmp - before && echo same');
  await tmux.until('same');
});
