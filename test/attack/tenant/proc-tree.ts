import type { TestContext } from 'node:test';
import { ProcTree } from '../../support/agent/proc-tree.js';
import { endLater } from '../../support/end-later.js';

/** A tree like /proc, which is removed after the attack. */
export function procTree(): ProcTree {
  const after = (remove: () => void) => void endLater(async () => remove());
  return new ProcTree({ after } as unknown as TestContext);
}
