/**
 * SIGHUP applies what can be reloaded, reports what needs a restart, and keeps the configuration if the file has
 * mistakes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'reload-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

test('SIGHUP reloads the configuration: the log changes, the rest is reported to need a restart', async () => {
  const config = join(FOLDER, 'config.yml');
  writeFileSync(config, 'log.format: logfmt\n');
  const agent = await WebAgent.start(`--config.file=${config}`);

  writeFileSync(config, 'log.format: json\nlimit.series: 5000\nweb.max-requests: 3\n');
  agent.process.kill('SIGHUP');
  await agent.until('"msg":"configuration reloaded","changed":"log.format"}');
  await agent.until('"msg":"these changes need a restart","options":"web.max-requests,limit.series"}');

  writeFileSync(config, 'log.format: xml\nlimit.sries: 5\n');
  agent.process.kill('SIGHUP');
  await agent.until(
    `"msg":"configuration is invalid, keeping the previous one","err":"${config}:1: log.format=xml: expected logfmt or json; ` +
      `${config}:2: unknown option limit.sries; did you mean limit.series?"}`,
  );

  rmSync(config);
  agent.process.kill('SIGHUP');
  await agent.until('no such file');
  assert.equal(await statusOf(`${agent.url}/-/healthy`), 200);
  assert.equal(agent.process.exitCode, null);
});

test('SIGHUP reloads the web configuration, even without --config.file', async () => {
  const config = join(FOLDER, 'web.yml');
  writeFileSync(config, 'http_server_config: {headers: {X-Frame-Options: deny}}\n');
  const agent = await WebAgent.start(`--web.config.file=${config}`);
  agent.process.kill('SIGHUP');
  await agent.until('msg="web configuration reloaded"');
  writeFileSync(config, 'http_server_config: {headers: {X-Frame-Options: perhaps}}\n');
  agent.process.kill('SIGHUP');
  await agent.until('X-Frame-Options: expected deny, sameorigin');
});
