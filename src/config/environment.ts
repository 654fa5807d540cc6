/** Options as environment variables: `--web.listen-address` is KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS. */
import { unknownName } from '../system/did-you-mean.js';
import { ConfigLayer } from './config-layer.js';
import { OPTIONS, type Option } from './options.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const VARIABLE_PREFIX = 'KVM_EXIT_EXPORTER_';

/**
 * Variables with our prefix that are not options: Kubernetes sets those of every service in each pod, and a service may
 * be called kvm-exit-exporter; `_REQUIRE` belongs to the tests.
 */
const FOREIGN =
  /^KVM_EXIT_EXPORTER_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?|REQUIRE)$/;

export function variableOf(flag: string): string {
  return VARIABLE_PREFIX + flag.toUpperCase().replaceAll(/[.-]/g, '_');
}

/** An empty variable counts as not set. Commas separate the values of an option that may be given more than once. */
export function readEnvironment(environment: Environment): ConfigLayer {
  const layer = new ConfigLayer();
  const options = new Map(OPTIONS.map((option: Option) => [variableOf(option.flag), option]));
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(VARIABLE_PREFIX) || FOREIGN.test(name) || value === undefined || value === '') continue;
    const option = options.get(name);
    if (option === undefined) layer.problems.push(unknownName('variable', name, [...options.keys()]));
    else for (const each of valuesOf(option, value)) layer.add(option, each, name);
  }
  return layer;
}

function valuesOf({ multiple }: Option, value: string): string[] {
  return multiple === true ? value.split(',').map((each) => each.trim()) : [value];
}
