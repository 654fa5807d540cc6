import { LastingFindings } from '../../advice/lasting-findings.js';
import type { Agent } from '../../agent/agent.js';
import type { GetOption } from '../../config/options.js';
import { VmRates } from '../../rates/vm-rates.js';
import type { VmSource } from './vm-source.js';

/** Periods in the time that a finding has to last. Looking for findings costs more than all other figures together. */
const PERIODS = 2;

/** The VMs of this host. Rates are those since the call before. */
export function localSource(agent: Agent, get: GetOption): VmSource {
  const lastingSeconds = get('advice.lasting');
  const findings = new LastingFindings(lastingSeconds, get('advice.disable'));
  let dueMs = Number.NEGATIVE_INFINITY;
  const takeSnapshot = () => {
    const [snapshot, nowMs] = [agent.snapshot(), performance.now()];
    if (nowMs >= dueMs) {
      findings.observe(snapshot, nowMs);
      dueMs = nowMs + (lastingSeconds * 1000) / PERIODS;
    }
    return snapshot;
  };
  const options = { findings: () => findings.current, windowMs: 0, minPeriodMs: Number.POSITIVE_INFINITY };
  const rates = new VmRates(takeSnapshot, options);
  return {
    name: 'this host',
    async current() {
      rates.observe();
      return rates.current();
    },
    async detail(vm) {
      return rates.detail(vm);
    },
    close() {},
  };
}
