import type { Invocation } from '../../config/parse-command-line.js';
import { AgentError } from '../../system/errors.js';
import { namePattern } from '../../system/name-pattern.js';
import { agentOptions } from '../live/agent-options.js';
import { withAgent } from '../live/with-agent.js';
import { batch } from './batch.js';
import { vmName } from './columns.js';
import { localSource } from './local-source.js';
import { remoteSource } from './remote-source.js';
import { Session } from './session.js';
import { newState } from './ui-state.js';
import type { VmSource } from './vm-source.js';

/** Shows the VMs of this host, or of a running agent, in the terminal. */
export async function top({ get }: Invocation): Promise<void> {
  const format = get('format');
  if (format !== 'table' && (format !== 'json' || !get('batch')))
    throw new AgentError(`--format=${format}: top shows a table, and with --batch prints table or json`);
  if (!get('batch') && !(process.stdin.isTTY && process.stdout.isTTY))
    throw new AgentError('top needs a terminal; top --batch -n 1 prints to a file or a pipe');
  const url = get('url');
  const show = async (source: VmSource) => {
    const state = newState(get('sort'), get('interval') * 1000);
    const wanted = onlyWanted(source, get('vm'));
    try {
      await (get('batch') ? batch(wanted, state, format, get('iterations')) : new Session(wanted, state).run());
    } finally {
      source.close();
    }
  };
  if (url !== undefined) return await show(remoteSource(url, get));
  await withAgent(agentOptions(get), (agent) => show(localSource(agent, get)));
}

function onlyWanted(source: VmSource, patterns: readonly string[]): VmSource {
  if (patterns.length === 0) return source;
  const matchers = patterns.map(namePattern);
  return {
    name: `${source.name}, --vm ${patterns.join(' --vm ')}`,
    detail: (vm) => source.detail(vm),
    close: () => source.close(),
    async current() {
      const rates = await source.current();
      return { ...rates, vms: rates.vms.filter(({ vm }) => matchers.some((isMatch) => isMatch(vmName(vm)))) };
    },
  };
}
