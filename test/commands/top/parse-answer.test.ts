/** Answers of programs that are no agent, or of another version: no value has another type than it should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { detailView } from '../../../src/commands/top/detail-view.js';
import { listView } from '../../../src/commands/top/list-view.js';
import { parseDetail, parseRates } from '../../../src/commands/top/parse-answer.js';
import { newState } from '../../../src/commands/top/ui-state.js';
import { AgentError } from '../../../src/system/errors.js';
import { detailOf, manyVms, ratesOf } from '../../support/agent/fake-agent.js';

test('the answers of an agent stay as they are', () => {
  const rates = ratesOf(manyVms(3));
  assert.deepEqual(parseRates(JSON.parse(JSON.stringify(rates))), rates);
  const detail = detailOf(manyVms(1)[0] ?? assert.fail());
  assert.deepEqual(parseDetail(JSON.parse(JSON.stringify(detail))), detail);
});

test('what is no answer is refused', () => {
  for (const answer of [null, 'text', 7, [], {}, { vms: 'none' }])
    assert.throws(() => parseRates(answer), AgentError, JSON.stringify(answer));
});

test('whatever the JSON, it can be shown', () => {
  const screen = { columns: 80, rows: 23 };
  const keys = ['vm', 'vms', 'rows', 'reasons', 'findings', 'top_reason', 'top_device', 'finding', 'time_shares'];
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue({ maxDepth: 1 }),
      fc.dictionary(fc.constantFrom(...keys), tie('any'), { maxKeys: 5 }),
      fc.array(tie('any'), { maxLength: 3 }),
    ),
  })).any;
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), value, (vms, list) => {
      const lines = [
        ...listView(parseRates({ vms }), newState('finding', 1000), screen),
        ...detailView(
          parseDetail({ vm: { vm: vms[0], time_shares: vms[1] }, reasons: list, findings: list, accesses: list }),
          80,
        ),
      ];
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the styles of a line are not its text
      for (const line of lines) assert.doesNotMatch(line.replace(/\u001b\[\d+m/g, ''), /\p{Cc}/u);
    }),
  );
});
