import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPENMETRICS, PROMETHEUS_TEXT } from '../../../src/expose/text-format.js';
import { acceptsGzip, negotiateFormat } from '../../../src/web/metrics/content-negotiation.js';

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

const FORMATS = [
  { name: 'nothing', accept: undefined, want: PROMETHEUS_TEXT },
  { name: 'anything (curl)', accept: '*/*', want: PROMETHEUS_TEXT },
  {
    name: 'a browser',
    accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    want: PROMETHEUS_TEXT,
  },
  { name: 'Prometheus 2', accept: PROMETHEUS_2, want: OPENMETRICS },
  { name: 'Prometheus 3', accept: PROMETHEUS_3, want: OPENMETRICS },
  { name: 'OpenMetrics of any version', accept: 'application/openmetrics-text', want: OPENMETRICS },
  { name: 'OpenMetrics 0.0.1 only', accept: 'application/openmetrics-text;version=0.0.1', want: PROMETHEUS_TEXT },
  { name: 'text preferred', accept: 'application/openmetrics-text;q=0.3,text/plain;q=0.9', want: PROMETHEUS_TEXT },
  { name: 'both with the same weight', accept: 'application/openmetrics-text,text/plain', want: PROMETHEUS_TEXT },
  { name: 'OpenMetrics excluded', accept: 'application/openmetrics-text;q=0,*/*;q=0.1', want: PROMETHEUS_TEXT },
  { name: 'text excluded', accept: 'text/plain;q=0,application/openmetrics-text;q=0.001', want: OPENMETRICS },
  {
    name: 'capital letters, spaces and quotes',
    accept: 'Application/OpenMetrics-Text ; Version="1.0.0" ; Q=0.5',
    want: OPENMETRICS,
  },
  {
    name: 'an invalid weight',
    accept: 'application/openmetrics-text;q=high,text/plain;q=0.1',
    want: PROMETHEUS_TEXT,
  },
  { name: 'garbage', accept: ';;,,=;q=', want: PROMETHEUS_TEXT },
  { name: 'only unavailable types', accept: 'application/json', want: PROMETHEUS_TEXT },
];

for (const { name, accept, want } of FORMATS)
  test(`Accept: ${name}: ${want.contentType.split(';')[0]}`, () => assert.equal(negotiateFormat(accept), want));

const ENCODINGS = [
  [undefined, false],
  ['', false],
  ['gzip', true],
  ['deflate, gzip;q=1.0, *;q=0.5', true],
  ['gzip;q=0', false],
  ['identity;q=1, gzip;q=0.5', false],
  ['*', true],
  ['*;q=0', false],
  ['gzip;q=0, *', false],
  ['br', false],
] as const;

for (const [header, want] of ENCODINGS)
  test(`Accept-Encoding: ${header ?? '(none)'} ${want ? 'takes' : 'does not take'} gzip`, () =>
    assert.equal(acceptsGzip(header), want));
