import { LastingFindings } from '../../advice/lasting-findings.js';
import type { Agent } from '../../agent/agent.js';
import type { GetOption } from '../../config/options.js';
import { VmRates } from '../../rates/vm-rates.js';
import type { VmSource } from './vm-source.js';

/** The VMs of this host. Rates are those since the call before. */
export function localSource(agent: Agent, get: GetOption): VmSource {
  const findings = new LastingFindings(get('advice.lasting'), get('advice.disable'));
  const takeSnapshot = () => {
    const snapshot = agent.snapshot();
    findings.observe(snapshot, performance.now());
    return snapshot;
  };
  const rates = new VmRates(takeSnapshot, { findings: () => findings.current, windowMs: 0 });
  return {
    name: 'this host',
    async current() {
      rates.observe();
      return rates.current();
    },
    async detail(vm) {
      return rates.detail(vm);
    },
  };
}
