/** The times of vCPUs whose guests spend them in a known way. */
import { existsSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { needsCpuCgroup } from '../../support/guest/cpu-quota.js';
import { liveTest } from '../../support/guest/live-test.js';
import { runScenario, SCENARIOS } from './scenarios.js';

/** KVM without hardware virtualization raises no kvm_entry, and does not tell its time from that of the guest. */
const TELLS_KVM = !existsSync('/sys/module/kvm_pvm');
const HOST = { tellsKvm: TELLS_KVM, seconds: 15, warmUpSeconds: 3 };

afterEach(endAll);

for (const args of [[], ['--no-collector.kernel']])
  for (const scenario of SCENARIOS.filter(({ traced }) => traced !== 'needed'))
    test(`${scenario.name}${args.length === 0 ? '' : ', without the kernel trace'}`, {
      ...liveTest(),
      ...skipped(),
    }, async (t) => {
      const agent = await startAgent({ args });
      const shares = await runScenario(scenario, agent, HOST);
      for (const line of shares) t.diagnostic(line);
      await agent.stop();
    });

function skipped(): { skip: string | false } {
  return [liveTest(), needsCpuCgroup()].find(({ skip }) => skip !== false) ?? { skip: false };
}
