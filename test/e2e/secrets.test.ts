/** Passwords of the OTLP endpoint and values of its headers must not reach the log, whatever goes wrong. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { runAgent } from '../support/agent/run-agent.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'secrets-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

const PASSWORD = 'hunter2secret';
const TOKEN = 'tok3n-of-header';

test('the log of an agent whose OTLP receiver is missing has no secret', async () => {
  const port = await freePort();
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${PASSWORD}@127.0.0.1:${port}/?key=${PASSWORD}`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${TOKEN},x-bad=%zz${TOKEN}`,
  };
  for (const level of ['debug', 'info']) {
    const agent = await WebAgent.startCommand('demo', ['--otlp.interval=100ms', `--log.level=${level}`], environment);
    await agent.until('msg="OTLP export failed"');
    assert.match(agent.log, /url=http:\/\/\*\*\*@127\.0\.0\.1/);
    assert.ok(!agent.log.includes(PASSWORD) && !agent.log.includes(TOKEN), agent.log);
    agent.process.kill('SIGTERM');
  }
});

test('messages about wrong settings have no secret', () => {
  const file = join(FOLDER, 'config.yml');
  for (const value of [`ftp://user:${PASSWORD}@host`, `user:${PASSWORD}@host:4318`, `//user:${PASSWORD}@host`]) {
    writeFileSync(file, `otlp.endpoint: '${value}'\nkubernetes.api-server: '${value}'\n`);
    for (const args of [[`--otlp.endpoint=${value}`], [`--config.file=${file}`]]) {
      const { status, stderr } = runAgent('demo', '--web.listen-address=127.0.0.1:0', ...args);
      assert.equal(status, 2);
      assert.match(stderr, /expected a URL/);
      assert.ok(!stderr.includes(PASSWORD), stderr);
    }
  }
});
