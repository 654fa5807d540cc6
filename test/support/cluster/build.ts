/**
 * Builds the programs of binaries.ts with Go, from the Go module proxy alone:
 *
 *   node build/test/support/cluster/build.js
 *
 * It takes about 15 minutes on two CPUs, and 200 MB of the cache. An interrupted build goes on where it was. Exit code
 * 75: Go or its module proxy is missing here.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BUILD_FOLDER, compile, download, go, newModule, runBuild } from '../go-build.js';
import { CACHE_FOLDER, COMPLETE, CRDS, KUBERNETES_PROGRAMS, pathOfProgram, VERSIONS } from './binaries.js';

const KUBERNETES = 'k8s.io/kubernetes';
const OPERATOR_API = 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring';

/** A Go file that makes `go mod tidy` keep the modules of these packages. */
function importAll(folder: string, packages: readonly string[]): void {
  const imports = packages.map((name) => `import _ "${name}"\n`).join('');
  writeFileSync(join(folder, 'tools.go'), `//go:build tools\n\npackage build\n\n${imports}`);
}

async function buildModule(name: 'etcd' | 'helm', packageName: string): Promise<void> {
  if (existsSync(pathOfProgram(name))) return;
  const folder = newModule(name);
  await go(folder, 'get', `${packageName}@${VERSIONS[name]}`);
  await compile(folder, pathOfProgram(name), packageName);
}

/**
 * The go.mod of k8s.io/kubernetes replaces modules by its own folder staging/, which is not part of the module. The
 * proxy has the same modules, as v0.MINOR.PATCH.
 */
async function buildKubernetes(source: string): Promise<void> {
  const missing = KUBERNETES_PROGRAMS.filter((name) => !existsSync(pathOfProgram(name)));
  if (missing.length === 0) return;
  const published = VERSIONS.kubernetes.replace(/^v1\./, 'v0.');
  const own = readFileSync(join(source, 'go.mod'), 'utf8');
  const folder = newModule('kubernetes', [
    ...(own.match(/^(?:go|godebug) .*$/gm) ?? []),
    `require ${KUBERNETES} ${VERSIONS.kubernetes}`,
    ...[...own.matchAll(/^\t(\S+) => \.\/staging\S*$/gm)].map(([, name]) => `replace ${name} => ${name} ${published}`),
  ]);
  importAll(
    folder,
    KUBERNETES_PROGRAMS.map((name) => `${KUBERNETES}/cmd/${name}`),
  );
  await go(folder, 'mod', 'tidy');
  // Without a version, Helm and kubectl take the server for one of version 0.0.
  const [major, minor] = VERSIONS.kubernetes.slice(1).split('.');
  const linkerFlags = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .map(
      (name) =>
        `-X ${name}.gitVersion=${VERSIONS.kubernetes} -X ${name}.gitMajor=${major} -X ${name}.gitMinor=${minor}`,
    )
    .join(' ');
  for (const name of missing) await compile(folder, pathOfProgram(name), `${KUBERNETES}/cmd/${name}`, { linkerFlags });
}

/** The Prometheus Operator's custom resource definitions are generated from its Go types. */
async function generateCrds(): Promise<void> {
  if (existsSync(CRDS)) return;
  const tool = 'sigs.k8s.io/controller-tools/cmd/controller-gen';
  const toolFolder = newModule('controller-gen');
  await go(toolFolder, 'get', `${tool}@${VERSIONS.controllerGen}`);
  const generator = join(BUILD_FOLDER, 'generate');
  await compile(toolFolder, generator, tool);
  const folder = newModule('crds');
  importAll(folder, [`${OPERATOR_API}/v1`]);
  await go(folder, 'get', `${OPERATOR_API}@${VERSIONS.prometheusOperator}`);
  await go(folder, 'mod', 'tidy');
  const output = join(BUILD_FOLDER, 'output');
  const args = ['crd:crdVersions=v1,generateEmbeddedObjectMeta=true', `paths=${OPERATOR_API}/v1`];
  await promisify(execFile)(generator, [...args, `output:crd:dir=${output}`], {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '-buildvcs=false' },
    maxBuffer: 1 << 26,
  });
  cpSync(output, `${CRDS}.part`, { recursive: true });
  renameSync(`${CRDS}.part`, CRDS);
}

async function build(): Promise<void> {
  if (existsSync(COMPLETE)) return;
  mkdirSync(CACHE_FOLDER, { recursive: true });
  const source = await download(
    `${KUBERNETES}@${VERSIONS.kubernetes}`,
    (folder) => readFileSync(join(folder, 'go.mod'), 'utf8').match(/^go .*$/m) ?? [],
  );
  await buildModule('etcd', 'go.etcd.io/etcd/server/v3');
  await buildModule('helm', 'helm.sh/helm/v3/cmd/helm');
  await buildKubernetes(source);
  await generateCrds();
  writeFileSync(COMPLETE, '');
}

await runBuild(build);
