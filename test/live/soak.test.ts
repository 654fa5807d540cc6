/** Two minutes of what `npm run soak` does for an hour; SOAK_MINUTES makes it longer. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { soak } from '../soak/soak.js';
import { endAll } from '../support/end-later.js';
import { needs } from '../support/requirements.js';

const MINUTES = Number(process.env.SOAK_MINUTES ?? 2);
const LIVE = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu'), timeout: MINUTES * 60_000 + 120_000 };

afterEach(endAll);

test(`${MINUTES} minutes of VMs that come and go: all is counted, and nothing grows`, LIVE, async (t) => {
  const { rows, verdicts, warnings } = await soak(MINUTES);
  for (const { what, figures } of verdicts) t.diagnostic(`${what}: ${figures}`);
  assert.deepEqual(
    verdicts.filter(({ holds }) => !holds),
    [],
    JSON.stringify(rows, null, 1),
  );
  assert.deepEqual(warnings, []);
});
