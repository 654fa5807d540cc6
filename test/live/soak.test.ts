/** A soak of two minutes, where `npm run soak` takes an hour; the variable SOAK_MINUTES makes it longer. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { soak } from '../soak/soak.js';
import { endAll } from '../support/end-later.js';
import { liveTest, numberFromEnvironment } from '../support/guest/live-test.js';

const MINUTES = numberFromEnvironment('SOAK_MINUTES', 2);
const LIVE = { ...liveTest(), timeout: MINUTES * 60_000 + 120_000 };

afterEach(endAll);

test(
  `${MINUTES} minutes of VMs that start and stop: all exits are counted, and memory, file descriptors and series do not grow`,
  LIVE,
  async (t) => {
    const { rows, verdicts, warnings } = await soak(MINUTES);
    for (const { criterion, figures } of verdicts) t.diagnostic(`${criterion}: ${figures}`);
    assert.deepEqual(
      verdicts.filter(({ holds }) => !holds),
      [],
      JSON.stringify(rows, null, 1),
    );
    assert.deepEqual(warnings, []);
  },
);
