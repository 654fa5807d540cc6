import { PATIENCE } from '../patience.js';
import { needs, type Requirement } from '../requirements.js';

/** Options of a test that runs the real program and real guests on this host. */
export const liveTest = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  // Longer than several waits for what does not come.
  timeout: PATIENCE * 300_000,
});

/** A number from the environment, for longer runs than those of the test suite. */
export function numberFromEnvironment(variable: string, fallback: number): number {
  return Number(process.env[variable] ?? fallback);
}
