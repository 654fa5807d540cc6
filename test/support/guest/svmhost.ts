/**
 * An emulated host with AMD SVM, whose kernel raises kvm_exit and kvm_entry as on real hardware. The variable SVMHOST
 * is the program that boots such a host and runs a command in it: `SVMHOST [-t seconds] [-c CPUs] -- command`. Its exit
 * code is 125 if the host crashed. SVMHOST_PASS has the names of the variables that the command gets.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { skipUnless } from '../requirements.js';

const { SVMHOST = '' } = process.env;
const HOST_DIED = 125;
const MAX_TRIES = 3;

export const needsSvmHost = (...variables: readonly string[]) =>
  skipUnless('svmhost', ![SVMHOST, ...variables].includes(''));

/**
 * Runs a script in the emulated host; a host that crashes is started again. Returns its output.
 * @param seconds time limit of a host, which takes a minute on a quiet machine
 * @param variables of the script's environment
 * @param cpus of the host
 */
export function runInSvmHost(
  t: TestContext,
  script: string,
  seconds: number,
  variables: Readonly<Record<string, string>> = {},
  cpus = 2,
): string {
  for (let tries = 1; ; tries++) {
    const options = ['-t', `${seconds}`, '-c', `${cpus}`];
    const { status, stdout, stderr } = spawnSync(SVMHOST, [...options, '--', process.execPath, script], {
      encoding: 'utf8',
      env: { ...process.env, ...variables, SVMHOST_PASS: Object.keys(variables).join(' ') },
    });
    if (status === HOST_DIED && tries < MAX_TRIES) continue;
    for (const line of stdout.split('\n')) t.diagnostic(line);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    return stdout;
  }
}
