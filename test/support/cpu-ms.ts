import { after, type TestContext } from 'node:test';

/**
 * Milliseconds of CPU time that an action takes in this process: unlike those of the clock, they do not depend on what
 * else the machine does meanwhile.
 */
export function cpuMs(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Has the program measure the CPU time of this process in place of the clock, until the test ends. */
export function useCpuClock(t: TestContext): void {
  t.mock.method(performance, 'now', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  });
}

/** Keeps the process alive during the tests of a file, as a running agent is, while what they wait for does not. */
export function keepAlive(): void {
  const timer = setInterval(() => {}, 60_000);
  after(() => clearInterval(timer));
}
