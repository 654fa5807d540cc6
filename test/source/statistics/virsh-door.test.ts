/** Programs that behave as virsh might: that answer, fail, hang, or print without end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDomstats } from '../../../src/source/statistics/virsh-door.js';

const read = (script: string, timeoutMs = 60_000) =>
  readDomstats(() => true, { command: 'sh', args: ['-c', script], timeoutMs });

test('the statistics of each domain are read', async () => {
  const domains = await read(`printf "Domain: 'a b'\\n  vcpu.0.exits.sum=5\\n\\nDomain: 'c'\\n  vm.pages_4k.cur=7\\n"`);
  assert.deepEqual([...domains.keys()], ['a b', 'c']);
});

test('the program does not get the variables of the agent', async () => {
  process.env.AUDIT_SECRET = 'x';
  const domains = await read(`printf "Domain: '%s'\\n" "$AUDIT_SECRET"`);
  assert.deepEqual([...domains.keys()], ['']);
});

test('a failure is reported in the words of the program', async () => {
  await assert.rejects(read('echo "error: failed to connect to the hypervisor" >&2; exit 1'), {
    name: 'AgentError',
    message: 'virsh domstats: error: failed to connect to the hypervisor',
  });
});

test('a host without virsh is reported as such', async () => {
  const missing = readDomstats(() => true, { command: 'no-such-virsh' });
  await assert.rejects(missing, { message: "virsh domstats: no program no-such-virsh; install libvirt's clients" });
});

test('a program that hangs is ended', async () => {
  await assert.rejects(read('exec sleep 60', 200), /no answer within 0.2 s/);
});

test('a program that prints without end is ended', async () => {
  await assert.rejects(read('exec yes "  vcpu.0.exits.sum=5"', 60_000), /its answer is too long/);
});
