/** deploy/helm: it makes the objects that kustomize makes, and each of its values does what it says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { needsControlPlane, pathOfProgram } from '../../support/cluster/binaries.js';
import { CHART, template, tryTemplate } from '../../support/kubernetes/helm.js';
import { faultsOf, type KubernetesObject } from '../../support/kubernetes/kubernetes-schemas.js';
import {
  COMPONENTS as KUSTOMIZE_COMPONENTS,
  needsKubectl,
  readYaml,
  render,
} from '../../support/kubernetes/kustomize.js';
import { CASES, REFUSED } from './chart-values.js';

const helm = needsControlPlane();
const kubectl = needsKubectl();
const both = helm.skip === false ? kubectl : helm;

/** Component -> the values that stand for it. A chart has no namespace of its own. */
const AS_VALUES: Readonly<Record<string, object>> = {
  'critical-quota': { criticalQuota: { enabled: true } },
  dashboards: { dashboards: { enabled: true } },
  kubevirt: { nodeSelector: { 'kubevirt.io/schedulable': 'true' } },
  otlp: { otlp: { endpoint: 'http://opentelemetry-collector.observability.svc:4318' } },
  'pod-monitor': { podMonitor: { enabled: true } },
  'pod-names': { podNames: { enabled: true } },
  'prometheus-rule': { prometheusRule: { enabled: true } },
  'service-monitor': { serviceMonitor: { enabled: true } },
};
const COMPONENTS = Object.keys(AS_VALUES);

/** Labels that Helm's conventions ask for, and kustomize's do not. */
const CONVENTIONS = /^(?:app\.kubernetes\.io\/(?:instance|version|managed-by|part-of)|helm\.sh\/chart)$/;
/** Default of the API server. */
const REVISION_HISTORY_LIMIT = 10;

/** The object without what differs by convention: labels, names of the dashboards' ConfigMaps. */
function substanceOf(object: KubernetesObject): unknown {
  const text = JSON.stringify(object, (key, value) => {
    if (key === 'revisionHistoryLimit' && value === REVISION_HISTORY_LIMIT) return undefined;
    if (!['labels', 'matchLabels', 'selector'].includes(key) || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).filter(([label]) => !CONVENTIONS.test(label)));
  });
  return JSON.parse(text.replace(/"kvm-exits-(fleet|vm|exporter)"/g, '"kvm-exit-exporter-$1"'));
}

function byName(objects: readonly KubernetesObject[]): Map<string, unknown> {
  const named = objects.map((object): [string, unknown] => {
    const substance = substanceOf(object) as KubernetesObject;
    return [`${substance.kind} ${substance.metadata.name}`, substance];
  });
  return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('the chart makes the objects that kustomize makes', both, () => {
  const combinations = [
    [],
    ...COMPONENTS.map((name) => [name]),
    ...COMPONENTS.map((name) => COMPONENTS.filter((other) => other !== name)),
    COMPONENTS,
  ];
  for (const components of combinations)
    test(`with ${components.join(', ') || 'no component'}`, async () => {
      const values = Object.assign({}, ...components.map((name) => AS_VALUES[name]));
      assert.deepEqual(byName(await template(values)), byName(await render(components)));
    });

  test('in another namespace, under another name', async () => {
    const more = { namespace: 'monitoring', namePrefix: 'acme-' };
    const values = Object.assign({}, ...COMPONENTS.map((name) => AS_VALUES[name]));
    const objects = await template(values, 'acme-kvm-exit-exporter', 'monitoring');
    const text = JSON.stringify(await render(COMPONENTS, more)).replace(/acme-kvm-exits-/g, 'acme-kvm-exit-exporter-');
    assert.deepEqual(byName(objects), byName(JSON.parse(text)));
  });

  test('of every component', () => {
    assert.deepEqual([...COMPONENTS, 'namespace'].sort(), KUSTOMIZE_COMPONENTS);
  });
});

describe('the values', helm, () => {
  test('pass helm lint --strict', () => {
    const { status, stdout, stderr } = spawnSync(pathOfProgram('helm'), ['lint', '--strict', CHART], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout + stderr);
  });

  for (const { values, shows, hides } of CASES)
    test(`${JSON.stringify(values).slice(1, -1)}`, async () => {
      const objects = await template(values);
      for (const object of objects) {
        // The schemas have no custom resources of other operators.
        if (object.kind === 'Certificate') continue;
        assert.deepEqual(faultsOf(object), [], `${object.kind} ${object.metadata.name}`);
      }
      const text = JSON.stringify(objects);
      for (const part of [shows ?? []].flat()) assert.ok(text.includes(part), `${part} is missing in ${text}`);
      for (const part of [hides ?? []].flat()) assert.ok(!text.includes(part), `${part} is in ${text}`);
      const plain = JSON.stringify(await template({}));
      for (const part of [shows ?? []].flat()) assert.ok(!plain.includes(part), `${part} is there without the value`);
      for (const part of [hides ?? []].flat()) assert.ok(plain.includes(part), `${part} is never there`);
    });

  for (const [values, message] of REFUSED)
    test(`${JSON.stringify(values).slice(1, -1)} is refused`, async () => {
      assert.match((await tryTemplate(values)).problem.replaceAll('\n', ' '), message);
    });

  test('are all in the schema and in a test, and the schema has no other', () => {
    const leaves = leavesOf(readYaml<Values>('deploy/helm/kvm-exit-exporter/values.yaml'));
    const tested = new Set(CASES.flatMap(({ values }) => leavesOf(values as Values)));
    const isTested = (leaf: string) => [...tested].some((other) => other === leaf || other.startsWith(`${leaf}.`));
    assert.deepEqual(
      leaves.filter((leaf) => !isTested(leaf)),
      [],
    );
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
    assert.deepEqual([...leaves, 'global'].sort(), schemaLeaves(schema, schema).sort());
  });

  test('prometheusRule.disabled takes out the alert, and nothing else', async () => {
    const alerts = async (disabled: string[]) => {
      const objects = await template({ prometheusRule: { enabled: true, disabled } });
      const spec = objects.find(({ kind }) => kind === 'PrometheusRule')?.spec as RuleSpec;
      return spec.groups.flatMap(({ rules }) => rules.map(({ alert, record }) => alert ?? record));
    };
    const all = await alerts([]);
    assert.deepEqual(
      await alerts(['KvmUserspaceExitSpike']),
      all.filter((name) => name !== 'KvmUserspaceExitSpike'),
    );
  });

  test('are those of the version of this repository', () => {
    const { version } = readYaml<{ version: string }>('package.json');
    const chart = readYaml<{ version: string; appVersion: string }>('deploy/helm/kvm-exit-exporter/Chart.yaml');
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });
});

interface RuleSpec {
  readonly groups: readonly { readonly rules: readonly { readonly alert?: string; readonly record?: string }[] }[];
}

interface Values {
  readonly [name: string]: unknown;
}

/** Values that users write as a whole, though they have fields. */
const FREE =
  /^(?:resources|securityContext|podSecurityContext|updateStrategy|nodeSelector|config|affinity)$|[lL]abels$|annotations$|Annotations$|^probes\.\w+$|Config$|basicAuth$/;

/** `image.tag` for each value that has no parts of its own. */
function leavesOf(values: Values, prefix = ''): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const path = prefix + name;
    const hasParts = typeof value === 'object' && value !== null && !Array.isArray(value) && !FREE.test(path);
    return hasParts ? leavesOf(value as Values, `${path}.`) : [path];
  });
}

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly properties?: Readonly<Record<string, Schema>>;
}

function schemaLeaves(schema: Schema, root: Schema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, part]) => {
    const target = part.$ref === undefined ? part : (root.$defs?.[part.$ref.replace('#/$defs/', '')] ?? {});
    return target.properties === undefined ? [prefix + name] : schemaLeaves(target, root, `${prefix}${name}.`);
  });
}
