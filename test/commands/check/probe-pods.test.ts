/** `check` asks the API server for the pods of its node. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { probePods } from '../../../src/commands/check/probe-pods.js';
import type { GetOption } from '../../../src/config/options.js';
import { endAll } from '../../support/end-later.js';
import { FakeApiServer, refuse } from '../../support/kubernetes/api-server.js';
import { needs } from '../../support/requirements.js';

afterEach(endAll);

/** What `check --kubernetes` prints about pods, with a server that `prepare` has changed. */
async function probe(prepare: (api: FakeApiServer) => void, ...certificate: Parameters<typeof FakeApiServer.start>) {
  const api = await FakeApiServer.start(...certificate);
  prepare(api);
  const options: Record<string, unknown> = {
    kubernetes: true,
    'kubernetes.node': 'node-1',
    'kubernetes.api-server': new URL(api.url),
    'kubernetes.token-file': api.tokenFile,
    'kubernetes.ca-file': api.caFile,
  };
  const findings = await probePods(((name: string) => options[name]) as GetOption);
  assert.equal(findings.length, 1);
  return { api, ...findings[0] };
}

test('the pods of the node are counted', needs('openssl'), async () => {
  const { api, level, text } = await probe((server) => server.put({ name: 'web', uid: 'a' }));
  assert.deepEqual({ level, text }, { level: 'ok', text: `${api.url}: 1 on node-1` });
});

test(
  'a node without pods, a refusal and an empty token are warnings that say what to do',
  needs('openssl'),
  async () => {
    const empty = await probe(() => {});
    assert.equal(empty.level, 'warn');
    assert.match(empty.text ?? '', /no pod of node "node-1"; check the node's name/);
    const refused = await probe((server) => {
      server.override = (_, response) => {
        refuse(response, 403, 'pods is forbidden');
        return true;
      };
    });
    assert.equal(refused.level, 'warn');
    assert.match(refused.text ?? '', /HTTP 403: pods is forbidden; allow the service account/);
    const unnamed = await probe((server) => server.setToken(''));
    assert.match(unnamed.text ?? '', /token: empty/);
  },
);

test(
  'a certificate that has expired, or is of another host, is named with the file of the CA',
  needs('openssl'),
  async () => {
    const expired = await probe(() => {}, { days: -1 });
    assert.ok(
      expired.text?.endsWith(`: certificate has expired; the CA is the one in ${expired.api.caFile}`),
      expired.text,
    );
    const foreign = await probe(() => {}, { san: 'DNS:elsewhere.example' });
    assert.match(foreign.text ?? '', /does not match certificate's altnames.*; the CA is the one in \S+ca\.crt$/);
  },
);

test('without --kubernetes and without a token of a pod nothing is asked', async () => {
  const options: Record<string, unknown> = { kubernetes: false, 'kubernetes.token-file': '/nonexistent/token' };
  assert.deepEqual(await probePods(((name: string) => options[name]) as GetOption), []);
});
