/** A soak of two minutes, where `npm run soak` takes an hour; the variable SOAK_MINUTES makes it longer. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { soak } from '../soak/soak.js';
import { endAll } from '../support/end-later.js';
import { liveTest, numberFromEnvironment } from '../support/guest/live-test.js';

const MINUTES = numberFromEnvironment('SOAK_MINUTES', 2);
const MAX_DELAYED_SHARE = 0.1;
const LIVE = { ...liveTest('tmux'), timeout: (MINUTES + 5) * 60_000 };

afterEach(endAll);

test(
  `${MINUTES} minutes of VMs that start, stop and are restarted: all exits are counted, and memory, file descriptors and series do not grow`,
  LIVE,
  async (t) => {
    const { rows, verdicts, warnings, delayedSeconds } = await soak(MINUTES);
    for (const { criterion, figures } of verdicts) t.diagnostic(`${criterion}: ${figures}`);
    assert.deepEqual(
      verdicts.filter(({ holds }) => !holds),
      [],
      JSON.stringify(rows, null, 1),
    );
    // An agent that is late warns of that, such as of a QMP socket whose VM it does not know yet.
    if (delayedSeconds < MINUTES * 60 * MAX_DELAYED_SHARE) assert.deepEqual(warnings, []);
    else t.diagnostic(`the agent waited ${delayedSeconds.toFixed(0)} s for a CPU, and warned: ${warnings.join('; ')}`);
  },
);
