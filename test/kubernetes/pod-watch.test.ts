/** The look-up of pods against a server that talks as the real one does, and fails in the ways that real ones fail. */
import assert from 'node:assert/strict';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiServer } from '../../src/kubernetes/api-server.js';
import { PodWatch } from '../../src/kubernetes/pod-watch.js';
import { endAll } from '../support/end-later.js';
import { FakeApiServer, refuse } from '../support/kubernetes/api-server.js';

afterEach(endAll);

const TIMES = { listMs: 300, watchMs: 60_000, slackMs: 100, firstPauseMs: 5, longestPauseMs: 40 };

const VM_A = {
  name: 'virt-launcher-vm-a-x2k9p',
  namespace: 'tenant',
  uid: '1b5c2c4e-0000-4000-8000-000000000001',
  vmi: 'vm-a',
};
const KATA = { name: 'kata-7d9f', uid: '1b5c2c4e-0000-4000-8000-000000000002' };
const GONE = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1000 (1010)' };

interface Following {
  readonly api: FakeApiServer;
  readonly pods: PodWatch;
  readonly said: string[];
}

/** A watch that runs until the test ends; what it says on stderr is kept. */
async function follow(
  t: TestContext,
  prepare: (api: FakeApiServer) => void = () => {},
  times = TIMES,
): Promise<Following> {
  const api = await FakeApiServer.start();
  prepare(api);
  const said: string[] = [];
  t.mock.method(process.stderr, 'write', (line: string) => said.push(line));
  const { tokenFile, caFile } = api;
  const pods = new PodWatch(new ApiServer({ url: new URL(api.url), tokenFile, caFile }), { node: 'node-1', times });
  const stop = new AbortController();
  const ended = pods.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
    assert.equal(pods.counts.up, false);
  });
  return { api, pods, said };
}

const watching = ({ api, pods }: Following) =>
  api.until('a watch that runs', () => pods.counts.up && api.watches === 1);

test('a list is followed by a watch from its version on; of this node, and only metadata', async (t) => {
  const all = await follow(t, (api) => api.put(VM_A));
  await watching(all);
  assert.deepEqual(all.pods.of(VM_A.uid), { uid: VM_A.uid, namespace: 'tenant', name: VM_A.name, vmi: 'vm-a' });
  assert.equal(all.pods.of(KATA.uid), undefined);
  const [list, watch] = all.api.requests;
  assert.equal(list?.url.searchParams.get('fieldSelector'), 'spec.nodeName=node-1');
  assert.equal(list?.url.searchParams.get('resourceVersion'), '0');
  assert.match(String(list?.headers.accept), /as=PartialObjectMetadataList;g=meta\.k8s\.io;v=v1/);
  assert.equal(watch?.url.searchParams.get('fieldSelector'), 'spec.nodeName=node-1');
  assert.equal(watch?.url.searchParams.get('resourceVersion'), '1001');
  assert.equal(watch?.url.searchParams.get('allowWatchBookmarks'), 'true');
});

test('pods that come and go are known at once, whatever pieces the lines come in', async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.put(KATA);
  await all.api.until('the pod', () => all.pods.of(KATA.uid)?.name === KATA.name);
  assert.deepEqual(all.pods.of(KATA.uid), { uid: KATA.uid, namespace: 'default', name: KATA.name, vmi: '' });
  all.api.delete(KATA);
  await all.api.until('its end', () => all.pods.of(KATA.uid) === undefined);
  assert.equal(all.pods.counts.events, 2);
});

test('a long list comes in pages', async (t) => {
  const many = Array.from({ length: 7 }, (_, pod) => ({ name: `pod-${pod}`, uid: `uid-${pod}` }));
  const all = await follow(t, (api) => {
    api.page = 3;
    for (const pod of many) api.put(pod);
  });
  await watching(all);
  assert.deepEqual(
    many.map(({ uid }) => all.pods.of(uid)?.name),
    many.map(({ name }) => name),
  );
  assert.deepEqual(
    all.api.requests.slice(0, 3).map(({ url }) => url.searchParams.get('continue')),
    [null, '3', '6'],
  );
});

test("a static pod is found by the uid that kubelet gave it, which is its cgroup's", async (t) => {
  const hash = 'c2ee8f5b1a3c4d5e6f708192a3b4c5d6';
  const pod = { name: 'vm-node-1', uid: 'another', annotations: { 'kubernetes.io/config.hash': hash } };
  const all = await follow(t, (api) => api.put(pod));
  await watching(all);
  assert.equal(all.pods.of(hash)?.name, 'vm-node-1');
});

test('a watch whose time is over goes on where it was: after the last bookmark', async (t) => {
  const all = await follow(t);
  await watching(all);
  all.api.bookmark();
  await all.api.until('the bookmark', () => all.pods.counts.events === 1);
  all.api.endWatches();
  await all.api.until('another watch', () => all.api.requests.length === 3 && all.api.watches === 1);
  assert.equal(all.api.requests[2]?.url.searchParams.get('resourceVersion'), '1001');
  assert.equal(all.pods.counts.up, true);
  assert.equal(all.said.length, 1, 'nothing to warn of');
});

for (const [how, expire] of [
  ['in the stream', (api: FakeApiServer) => api.send({ type: 'ERROR', object: GONE })],
  [
    'as the answer',
    (api: FakeApiServer) => {
      api.mood = ({ watch }, response) => {
        api.mood = () => false;
        if (watch) refuse(response, 410, GONE.message);
        return watch;
      };
      api.endWatches();
    },
  ],
] as const)
  test(`410 Gone ${how}: the list is asked for again, and shows what the watch missed`, async (t) => {
    const all = await follow(t, (api) => api.put(VM_A));
    await watching(all);
    // Unseen by the watch, which is held up.
    const send = all.api.send.bind(all.api);
    all.api.send = () => {};
    all.api.put(KATA);
    all.api.delete(VM_A);
    all.api.send = send;
    expire(all.api);
    await all.api.until('the list', () => all.pods.of(KATA.uid) !== undefined);
    assert.equal(all.pods.of(VM_A.uid), undefined);
    await watching(all);
    assert.equal(all.said.filter((line) => line.includes('level=warn')).length, 0);
  });

test('429 with Retry-After is obeyed', async (t) => {
  const times: number[] = [];
  const all = await follow(t, (api) => {
    api.mood = (_, response) => {
      times.push(performance.now());
      if (times.length > 1) return false;
      refuse(response, 429, 'too many requests, please try again later', { 'Retry-After': '1' });
      return true;
    };
  });
  await watching(all);
  const [first = 0, second = 0] = times;
  assert.ok(second - first >= 1000, `asked again after ${second - first} ms`);
  assert.match(all.said.join(''), /level=warn .*HTTP 429: too many requests/);
});

test('a server that never answers is given up, and asked again; what was known stays', async (t) => {
  const all = await follow(t, (api) => api.put(VM_A));
  await watching(all);
  all.api.mood = () => true;
  all.api.endWatches(true);
  await all.api.until('two more lists', () => all.api.requests.length >= 5);
  assert.equal(all.pods.counts.up, false);
  assert.equal(all.pods.of(VM_A.uid)?.vmi, 'vm-a');
  const warnings = all.said.filter((line) => line.includes('no whole answer within 0.3 s'));
  assert.equal(warnings.length, 1, 'said once');
  all.api.mood = () => false;
  await watching(all);
});

test('a watch that hangs beyond its time is given up', async (t) => {
  const all = await follow(t, () => {}, { ...TIMES, watchMs: 200, slackMs: 50 });
  await watching(all);
  await all.api.until('the next list', () => all.api.requests.length >= 3);
  assert.equal(all.api.requests[2]?.url.searchParams.get('watch'), null);
});

test('a token that was renewed is taken', async (t) => {
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

test('no right to list says which, and is tried again ever more seldom', async (t) => {
  const all = await follow(t, (api) => {
    api.mood = (_, response) => {
      refuse(response, 403, 'pods is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods"');
      return true;
    };
  });
  await all.api.until('some requests', () => all.api.requests.length >= 5);
  const before = all.api.requests.length;
  await sleep(200);
  // The longest pause is 40 to 80 ms.
  assert.ok(all.api.requests.length - before <= 6, `${all.api.requests.length - before} requests in 200 ms`);
  const warnings = all.said.filter((line) => line.includes('level=warn'));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /cannot list resource .*give the service account list and watch of pods/);
});

test('a server that ends each watch at once is not asked in a tight loop', async (t) => {
  const all = await follow(t, (api) => {
    api.mood = ({ watch }, response) => {
      if (watch) response.end();
      return watch;
    };
  });
  await all.api.until('some requests', () => all.api.requests.length >= 5);
  const before = all.api.requests.length;
  await sleep(100);
  assert.ok(all.api.requests.length - before <= 21, `${all.api.requests.length - before} requests in 100 ms`);
});

test('lines that are none are counted, and what follows is understood', async (t) => {
  const all = await follow(t);
  await watching(all);
  for (const line of ['{"type":', '{"type":"NEWS","object":{}}', '7', '{"type":"ADDED","object":{"metadata":{}}}'])
    all.api.send(line);
  all.api.put(VM_A);
  await all.api.until('the pod', () => all.pods.of(VM_A.uid) !== undefined);
  assert.deepEqual([...all.pods.counts.malformed], [['line', 4]]);
});

test('a list that is none, and a server that another authority has signed, are said in words', async (t) => {
  const all = await follow(t, (api) => {
    api.mood = (_, response) => {
      response.end('<html>a proxy is in the way</html>');
      return true;
    };
  });
  await all.api.until('a warning', () => all.said.some((line) => line.includes('no list of pods')));
  const other = await FakeApiServer.start();
  const url = new URL(all.api.url);
  const stranger = new PodWatch(new ApiServer({ url, tokenFile: all.api.tokenFile, caFile: other.caFile }), {
    node: 'node-1',
    times: TIMES,
  });
  const stop = new AbortController();
  const ended = stranger.run(stop.signal);
  await all.api.until('a warning', () => all.said.some((line) => /127\.0\.0\.1:\d+: .*certificate/.test(line)));
  stop.abort();
  await ended;
});
