/** Options as environment variables: `--web.listen-address` is KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS. */

import { unknown } from '../system/did-you-mean.js';
import { Given } from './config-layer.js';
import { OPTIONS, type Option } from './options.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'KVM_EXIT_EXPORTER_';

/**
 * Variables of that prefix which are not ours: Kubernetes gives each pod those of every service, and one may be called kvm-exit-exporter; the
 * tests have their own.
 */
const FOREIGN =
  /^KVM_EXIT_EXPORTER_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?|REQUIRE)$/;

export function variableOf(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll(/[.-]/g, '_');
}

/** An empty variable is one that is not set. Where an option may be given more than once, commas stand between its values. */
export function fromEnvironment(environment: Environment): Given {
  const given = new Given();
  const options = new Map(OPTIONS.map((option: Option) => [variableOf(option.flag), option]));
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || FOREIGN.test(name) || value === undefined || value === '') continue;
    const option = options.get(name);
    if (option === undefined) given.problems.push(unknown('variable', name, [...options.keys()]));
    else for (const each of valuesOf(option, value)) given.add(option, each, name);
  }
  return given;
}

function valuesOf({ multiple }: Option, value: string): string[] {
  return multiple === true ? value.split(',').map((each) => each.trim()) : [value];
}
