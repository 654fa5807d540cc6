/** PodWatch against a server that answers as a real one does, and fails as real ones do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { ApiClient } from '../../src/kubernetes/api-client.js';
import { PodWatch } from '../../src/kubernetes/pod-watch.js';
import { endAll } from '../support/end-later.js';
import { FakeApiServer, refuse } from '../support/kubernetes/api-server.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const OPENSSL = needs('openssl');

afterEach(endAll);

const TIMES = {
  listMs: 60_000,
  watchMs: 60_000,
  watchGraceMs: 100,
  watchSilenceMs: 30_000,
  minPauseMs: 5,
  maxPauseMs: 40,
};

const VM_A = {
  name: 'virt-launcher-vm-a-x2k9p',
  namespace: 'tenant',
  uid: '1b5c2c4e-0000-4000-8000-000000000001',
  vmi: 'vm-a',
};
const KATA = { name: 'kata-7d9f', uid: '1b5c2c4e-0000-4000-8000-000000000002' };
const GONE = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1000 (1010)' };

interface WatchTest {
  readonly api: FakeApiServer;
  readonly pods: PodWatch;
  readonly log: string[];
}

/** Starts a watch that runs until the test ends, and collects its log lines. */
async function follow(
  t: TestContext,
  prepare: (api: FakeApiServer) => void = () => {},
  times = TIMES,
  keepDeletedMs = 0,
): Promise<WatchTest> {
  const api = await FakeApiServer.start();
  prepare(api);
  const log: string[] = [];
  t.mock.method(process.stderr, 'write', (line: string) => log.push(line));
  const { tokenFile, caFile } = api;
  const pods = new PodWatch(new ApiClient({ url: new URL(api.url), tokenFile, caFile }), {
    node: 'node-1',
    keepDeletedMs,
    times,
  });
  const stop = new AbortController();
  const ended = pods.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
    assert.equal(pods.counts.up, false);
  });
  return { api, pods, log };
}

const watching = ({ api, pods }: WatchTest) => api.until('a running watch', () => pods.counts.up && api.watches === 1);

test(
  'a list of this node is requested, then a watch from its version on, both for metadata only',
  OPENSSL,
  async (t) => {
    const all = await follow(t, (api) => api.put(VM_A));
    await watching(all);
    assert.deepEqual(all.pods.podOf(VM_A.uid), { uid: VM_A.uid, namespace: 'tenant', name: VM_A.name, vmi: 'vm-a' });
    assert.equal(all.pods.podOf(KATA.uid), undefined);
    const [list, watch] = all.api.requests;
    assert.equal(list?.url.searchParams.get('fieldSelector'), 'spec.nodeName=node-1');
    assert.equal(list?.url.searchParams.get('resourceVersion'), '0');
    assert.match(String(list?.headers.accept), /as=PartialObjectMetadataList;g=meta\.k8s\.io;v=v1/);
    assert.equal(watch?.url.searchParams.get('fieldSelector'), 'spec.nodeName=node-1');
    assert.equal(watch?.url.searchParams.get('resourceVersion'), '1001');
    assert.equal(watch?.url.searchParams.get('allowWatchBookmarks'), 'true');
  },
);

test('new and deleted pods are applied at once, however the lines are split', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.put(KATA);
  await all.api.until('the pod', () => all.pods.podOf(KATA.uid)?.name === KATA.name);
  assert.deepEqual(all.pods.podOf(KATA.uid), { uid: KATA.uid, namespace: 'default', name: KATA.name, vmi: '' });
  all.api.delete(KATA);
  await all.api.until('its end', () => all.pods.podOf(KATA.uid) === undefined);
  assert.equal(all.pods.counts.events, 2);
});

test('a long list is requested in parts', OPENSSL, async (t) => {
  const many = Array.from({ length: 7 }, (_, pod) => ({ name: `pod-${pod}`, uid: `uid-${pod}` }));
  const all = await follow(t, (api) => {
    api.page = 3;
    for (const pod of many) api.put(pod);
  });
  await watching(all);
  assert.deepEqual(
    many.map(({ uid }) => all.pods.podOf(uid)?.name),
    many.map(({ name }) => name),
  );
  assert.deepEqual(
    all.api.requests.slice(0, 3).map(({ url }) => url.searchParams.get('continue')),
    [null, '3', '6'],
  );
});

test("a static pod is found by kubelet's uid, which its cgroup contains", OPENSSL, async (t) => {
  const hash = 'c2ee8f5b1a3c4d5e6f708192a3b4c5d6';
  const pod = { name: 'vm-node-1', uid: 'another', annotations: { 'kubernetes.io/config.hash': hash } };
  const all = await follow(t, (api) => api.put(pod));
  await watching(all);
  assert.equal(all.pods.podOf(hash)?.name, 'vm-node-1');
});

test('after the end of a watch the next one continues at the last bookmark', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.bookmark();
  await all.api.until('the bookmark', () => all.pods.counts.events === 1);
  all.api.endWatches();
  await all.api.until('another watch', () => all.api.requests.length === 3 && all.api.watches === 1);
  assert.equal(all.api.requests[2]?.url.searchParams.get('resourceVersion'), '1001');
  assert.equal(all.pods.counts.up, true);
  assert.equal(all.log.length, 1, 'no warnings');
});

for (const [how, expire] of [
  ['in the stream', (api: FakeApiServer) => api.send({ type: 'ERROR', object: GONE })],
  [
    'as the answer',
    (api: FakeApiServer) => {
      api.override = ({ watch }, response) => {
        api.override = () => false;
        if (watch) refuse(response, 410, GONE.message);
        return watch;
      };
      api.endWatches();
    },
  ],
] as const)
  test(
    `410 Gone ${how}: the list is requested again and shows the changes that the watch missed`,
    OPENSSL,
    async (t) => {
      const all = await follow(t, (api) => api.put(VM_A));
      await watching(all);
      // Changes that are not sent to the watch.
      const send = all.api.send.bind(all.api);
      all.api.send = () => {};
      all.api.put(KATA);
      all.api.delete(VM_A);
      all.api.send = send;
      expire(all.api);
      await all.api.until('the list', () => all.pods.podOf(KATA.uid) !== undefined);
      assert.equal(all.pods.podOf(VM_A.uid), undefined);
      await watching(all);
      assert.equal(all.log.filter((line) => line.includes('level=warn')).length, 0);
    },
  );

test('Retry-After of a 429 is respected', OPENSSL, async (t) => {
  const times: number[] = [];
  const all = await follow(t, (api) => {
    api.override = (_, response) => {
      times.push(performance.now());
      if (times.length > 1) return false;
      refuse(response, 429, 'too many requests, please try again later', { 'Retry-After': '1' });
      return true;
    };
  });
  await watching(all);
  const [first = 0, second = 0] = times;
  // The clock of timers counts whole milliseconds, and may be a tick of the kernel, of one more, behind this one.
  assert.ok(second - first >= 998, `next request after ${second - first} ms`);
  assert.match(all.log.join(''), /level=warn .*HTTP 429: too many requests/);
});

test('a request without an answer times out and is repeated; known pods are kept', OPENSSL, async (t) => {
  const all = await follow(t, (api) => api.put(VM_A), { ...TIMES, listMs: 300 });
  await watching(all);
  const late = () => all.log.filter((line) => line.includes('no complete answer within 0.3 s'));
  // On a busy machine the first list may be late, too.
  const [before, requests] = [late().length, all.api.requests.length];
  all.api.override = () => true;
  all.api.endWatches(true);
  await all.api.until('two more lists', () => all.api.requests.length >= requests + 3);
  assert.equal(all.pods.counts.up, false);
  assert.equal(all.pods.podOf(VM_A.uid)?.vmi, 'vm-a');
  assert.equal(late().length - before, 1, 'logged once');
  all.api.override = () => false;
  await watching(all);
});

test('a watch that does not end in time is aborted', OPENSSL, async (t) => {
  const all = await follow(t, () => {}, { ...TIMES, watchMs: 200, watchGraceMs: 50 });
  await watching(all);
  await all.api.until('the next list', () => all.api.requests.length >= 3);
  assert.equal(all.api.requests[2]?.url.searchParams.get('watch'), null);
});

test('a renewed token is used', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.setToken('second-token');
  all.api.endWatches(true);
  await all.api.until(
    'the second token',
    () => all.api.requests.at(-1)?.headers.authorization === 'Bearer second-token',
  );
  await watching(all);
});

test('a missing permission is named in the log, and pauses between requests grow', OPENSSL, async (t) => {
  const all = await follow(t, (api) => {
    api.override = (_, response) => {
      refuse(response, 403, 'pods is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods"');
      return true;
    };
  });
  await all.api.until('some requests', () => all.api.requests.length >= 5);
  const [before, startMs] = [all.api.requests.length, performance.now()];
  await sleep(200);
  const [requests, ms] = [all.api.requests.length - before, performance.now() - startMs];
  // The longest pause is 40 to 80 ms.
  assert.ok(requests <= ms / 40 + 1, `${requests} requests in ${ms} ms`);
  const warnings = all.log.filter((line) => line.includes('level=warn'));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /cannot list resource .*allow the service account to list and watch pods/);
});

test('a server that ends each watch at once is not flooded with requests', OPENSSL, async (t) => {
  const all = await follow(t, (api) => {
    api.override = ({ watch }, response) => {
      if (watch) response.end();
      return watch;
    };
  });
  await all.api.until('some requests', () => all.api.requests.length >= 5);
  const [before, startMs] = [all.api.requests.length, performance.now()];
  await sleep(100);
  const [requests, ms] = [all.api.requests.length - before, performance.now() - startMs];
  assert.ok(requests <= ms / TIMES.minPauseMs + 1, `${requests} requests in ${ms} ms`);
});

test('malformed lines are counted, and the next line is applied', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  for (const line of ['{"type":', '{"type":"NEWS","object":{}}', '7', '{"type":"ADDED","object":{"metadata":{}}}'])
    all.api.send(line);
  all.api.put(VM_A);
  await all.api.until('the pod', () => all.pods.podOf(VM_A.uid) !== undefined);
  assert.deepEqual([...all.pods.counts.malformed], [['line', 4]]);
});

test('a watch with nothing but malformed lines is given up for a while', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.send('{\n'.repeat(5000));
  await all.api.until('a warning', () =>
    all.log.some((line) => line.includes('100 lines that are no changes of pods')),
  );
  assert.deepEqual([...all.pods.counts.malformed], [['line', 100]]);
  all.api.put(VM_A);
  await all.api.until('the pod', () => all.pods.podOf(VM_A.uid) !== undefined);
});

test(
  'an answer that is not a list and a certificate of an unknown authority are explained in the log',
  OPENSSL,
  async (t) => {
    const all = await follow(t, (api) => {
      api.override = (_, response) => {
        response.end('<html>a proxy is in the way</html>');
        return true;
      };
    });
    await all.api.until('a warning', () => all.log.some((line) => line.includes('not a list of pods')));
    const other = await FakeApiServer.start();
    const url = new URL(all.api.url);
    const distrustful = new PodWatch(new ApiClient({ url, tokenFile: all.api.tokenFile, caFile: other.caFile }), {
      node: 'node-1',
      keepDeletedMs: 0,
      times: TIMES,
    });
    const stop = new AbortController();
    const ended = distrustful.run(stop.signal);
    await all.api.until('a warning', () => all.log.some((line) => /127\.0\.0\.1:\d+: .*certificate/.test(line)));
    assert.ok(
      all.log.some((line) => line.includes(`; ${other.caFile} must hold the CA of the API server's certificate`)),
    );
    stop.abort();
    await ended;
  },
);

test('a node without pods is followed, and the log says that its name may be wrong', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  assert.match(all.log.join(''), /level=warn .*knows no pod of node .*node-1.*K8S_NODE_NAME/);
});

test('a watch that delivers no byte is given up, and the list is requested again', OPENSSL, async (t) => {
  const all = await follow(t, (api) => api.put(VM_A), { ...TIMES, watchSilenceMs: 2000 });
  await watching(all);
  for (let bookmark = 0; bookmark < 5; bookmark++, await sleep(500)) all.api.bookmark();
  assert.equal(all.api.requests.length, 2, 'a bookmark ends the silence');
  await all.api.until('the warning', () => /no byte for 2 s, so the connection is lost/.test(all.log.join('')));
  await all.api.until('the next list', () => all.api.requests.length >= 3);
  assert.equal(all.api.requests[2]?.url.searchParams.get('watch'), null);
});

test('a connection that breaks is called lost', OPENSSL, async (t) => {
  const all = await follow(t, (api) => api.put(VM_A));
  await watching(all);
  all.api.endWatches(true);
  await all.api.until('the warning', () => /127\.0\.0\.1:\d+: connection lost/.test(all.log.join('')));
});

test('a deleted pod is kept for the time given, whether the watch or a list shows its end', OPENSSL, async (t) => {
  const all = await follow(t, (api) => [VM_A, KATA].map((pod) => api.put(pod)), TIMES, 60_000);
  await watching(all);
  all.api.delete(VM_A);
  await all.api.until('the event', () => all.pods.counts.events === 1);
  const send = all.api.send.bind(all.api);
  all.api.send = () => {};
  all.api.delete(KATA);
  all.api.send = send;
  all.api.send({ type: 'ERROR', object: GONE });
  await all.api.until('the next list', () => all.api.requests.length >= 4);
  assert.deepEqual([all.pods.podOf(VM_A.uid)?.name, all.pods.podOf(KATA.uid)?.name], [VM_A.name, KATA.name]);
});

test('an empty token is named', OPENSSL, async (t) => {
  const all = await follow(t, (api) => api.setToken(''));
  await all.api.until('the warning', () => all.log.some((line) => line.includes(`${all.api.tokenFile}: empty`)));
});

test('lists may be compressed, and requests name the version', OPENSSL, async (t) => {
  const all = await follow(t, (api) => {
    api.override = ({ watch }, response) => {
      if (!watch) response.setHeader('Content-Encoding', 'gzip').end(gzipSync(listOf(item('packed', 'small'))));
      return !watch;
    };
  });
  await watching(all);
  assert.equal(all.pods.podOf('packed')?.name, 'small');
  const [list, watch] = all.api.requests.map(({ headers }) => headers);
  assert.deepEqual([list?.['accept-encoding'], watch?.['accept-encoding']], ['gzip', 'identity']);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.equal(list?.['user-agent'], `kvm-exit-exporter/${version}`);
});

const item = (uid: string, name = 'pod') =>
  JSON.stringify({ metadata: { uid, name, namespace: 'n', resourceVersion: '2' } });
const listOf = (items: string, next = '') =>
  `{"kind":"PodList","metadata":{"resourceVersion":"1","continue":"${next}"},"items":[${items}]}`;

for (const [name, message, answer] of [
  [
    'more pods than a node can have',
    /more than 5000 pods/,
    () => listOf(Array.from({ length: 5001 }, (_, i) => item(`uid-${i}`)).join()),
  ],
  ['a list without an end', /more than 100 parts/, () => listOf(item('a'), 'again')],
  ['a pod of 3 MB', /too long/, () => listOf(item('a', 'x'.repeat(3 << 20)))],
  ['a list with 1 MB besides its pods', /too long/, () => `{"kind":"${'x'.repeat(1 << 20)}","items":[]}`],
  ['text that is no list', /not a list of pods/, () => '{"items":'.repeat(100)],
] as const)
  test(`${name} is refused, and known pods are kept`, OPENSSL, async (t) => {
    const all = await follow(t, (api) => api.put(VM_A), TIMES);
    await watching(all);
    all.api.override = ({ watch }, response) => {
      if (watch) refuse(response, 410, GONE.message);
      else response.end(answer());
      return true;
    };
    all.api.endWatches();
    await all.api.until('the refusal', () => message.test(all.log.join('')));
    assert.equal(all.pods.podOf(VM_A.uid)?.vmi, 'vm-a');
  });

test('a watch that adds pods without an end is refused', OPENSSL, async (t) => {
  const all = await follow(t);
  await watching(all);
  for (let i = 0; i <= 5000; i++) all.api.send(`{"type":"ADDED","object":${item(`uid-${i}`)}}`);
  await all.api.until('the refusal', () => /more than 5000 pods/.test(all.log.join('')));
});

test('a pod whose names are too long is none', OPENSSL, async (t) => {
  const all = await follow(t, (api) => {
    api.put({ uid: 'long', name: 'x'.repeat(254) });
    api.put({ uid: 'longest', name: 'x'.repeat(253) });
  });
  await watching(all);
  assert.deepEqual([all.pods.podOf('long'), all.pods.podOf('longest')?.uid], [undefined, 'longest']);
});
