/**
 * The Dockerfile, checked by dockerfile-utils and by those rules of hadolint that apply to it. hadolint is in no
 * package registry, so its rules are rewritten here. Each rule is also tested on a Dockerfile that breaks it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validate } from 'dockerfile-utils';
import { DOCKERFILE, type Instruction, instructionsOf, type Stage, stagesOf } from '../../support/image/dockerfile.js';

interface Rule {
  /** hadolint's number and summary. */
  readonly rule: string;
  /** The instructions, or other parts, that break the rule. */
  readonly breaks: (
    instructions: readonly Instruction[],
    stages: readonly Stage[],
  ) => readonly (Instruction | string)[];
  /** A Dockerfile that breaks the rule once. */
  readonly bad: string;
}

const isJson = ({ text }: Instruction) => /^(CMD )?\[".*"\]$/.test(text);
const select = (instructions: readonly Instruction[], ...keywords: string[]) =>
  instructions.filter(({ keyword }) => keywords.includes(keyword));
const hasTag = (image: string) => /@sha256:|:[\w.-]+$/.test(image);

const RULES: readonly Rule[] = [
  {
    rule: 'DL3000 Use absolute WORKDIR',
    breaks: (all) => select(all, 'WORKDIR').filter(({ text }) => !text.startsWith('/')),
    bad: 'FROM a:1\nWORKDIR app',
  },
  {
    rule: 'DL3002 Last USER should not be root',
    breaks: (_, stages) =>
      select(stages.at(-1)?.instructions ?? [], 'USER').filter(({ text }) => /^(root|0)\b/.test(text)),
    bad: 'FROM a:1\nUSER root',
  },
  {
    rule: 'DL3004 Do not use sudo',
    breaks: (all) => select(all, 'RUN').filter(({ text }) => /\bsudo\b/.test(text)),
    bad: 'FROM a:1\nRUN sudo x',
  },
  {
    rule: 'DL3006 Always tag the version of an image explicitly',
    breaks: (_, stages) =>
      stages.map(({ base }) => base).filter((base) => !hasTag(base) && !stages.some(({ name }) => name === base)),
    bad: 'FROM debian',
  },
  {
    // Distroless has the version in the repository's name, and no tags for versions.
    rule: 'DL3007 Do not use latest',
    breaks: (_, stages) =>
      stages
        .map(({ base }) => base)
        .filter((base) => base.endsWith(':latest') && !/\/distroless\/nodejs\d+-debian\d+:/.test(base)),
    bad: 'FROM node:latest',
  },
  {
    rule: 'DL3011 Valid UNIX ports',
    breaks: (all) => select(all, 'EXPOSE').filter(({ words }) => words.some((port) => !(Number(port) <= 65535))),
    bad: 'FROM a:1\nEXPOSE 80000',
  },
  {
    rule: 'DL3016 Pin versions in npm',
    breaks: (all) => select(all, 'RUN').filter(({ text }) => /\bnpm (install|i)\b/.test(text)),
    bad: 'FROM a:1\nRUN npm install express',
  },
  { rule: 'DL3020 Use COPY instead of ADD', breaks: (all) => select(all, 'ADD'), bad: 'FROM a:1\nADD a /a' },
  {
    rule: 'DL3021 COPY of several sources needs a folder',
    breaks: (all) => select(all, 'COPY').filter(({ words }) => words.length > 2 && !(words.at(-1) ?? '').endsWith('/')),
    bad: 'FROM a:1\nCOPY a b /c',
  },
  {
    rule: 'DL3022 COPY --from names a stage before',
    breaks: (_, stages) =>
      stages.flatMap(({ instructions }, index) => {
        const known = stages.slice(0, index).map(({ name }) => name);
        return select(instructions, 'COPY').filter(
          ({ flags }) => flags.has('from') && !known.includes(flags.get('from')),
        );
      }),
    bad: 'FROM a:1\nCOPY --from=b /x /y',
  },
  {
    rule: 'DL3025 JSON for CMD and ENTRYPOINT',
    breaks: (all) => select(all, 'CMD', 'ENTRYPOINT', 'HEALTHCHECK').filter((one) => !isJson(one)),
    bad: 'FROM a:1\nCMD node main.js',
  },
  {
    rule: 'DL3029 No --platform but $BUILDPLATFORM',
    breaks: (all) =>
      select(all, 'FROM').filter(({ flags }) => flags.has('platform') && flags.get('platform') !== '$BUILDPLATFORM'),
    bad: 'FROM --platform=linux/amd64 a:1',
  },
  {
    rule: 'DL3045 COPY to a relative destination needs WORKDIR',
    breaks: (_, stages) =>
      stages.flatMap(({ instructions }) => {
        const first = instructions.findIndex(({ keyword }) => keyword === 'WORKDIR');
        return select(first < 0 ? instructions : instructions.slice(0, first), 'COPY').filter(
          ({ words }) => !words.at(-1)?.startsWith('/'),
        );
      }),
    bad: 'FROM a:1\nCOPY a b',
  },
  {
    rule: 'DL3048 Label keys',
    breaks: (all) =>
      select(all, 'LABEL').filter(({ text }) =>
        [...text.matchAll(/(\S+)="/g)].some(([, key = '']) => !/^[a-z][a-z0-9.-]*[a-z0-9]$/.test(key)),
      ),
    bad: 'FROM a:1\nLABEL A_b="c"',
  },
  {
    rule: 'DL3057 HEALTHCHECK is there',
    breaks: (_, stages) => (select(stages.at(-1)?.instructions ?? [], 'HEALTHCHECK').length === 1 ? [] : ['none']),
    bad: 'FROM a:1',
  },
  {
    rule: 'DL3059 No consecutive RUN',
    breaks: (all) => all.filter(({ keyword }, index) => keyword === 'RUN' && all[index - 1]?.keyword === 'RUN'),
    bad: 'FROM a:1\nRUN a\nRUN b',
  },
  {
    // sh has no option pipefail.
    rule: 'DL4006 No pipe without pipefail',
    breaks: (all) => select(all, 'RUN').filter(({ text }) => /[^|]\|[^|]/.test(text)),
    bad: 'FROM a:1\nRUN a | b',
  },
  {
    rule: 'no RUN in a stage that has no shell',
    breaks: (_, stages) => select(stages.at(-1)?.instructions ?? [], 'RUN'),
    bad: 'FROM a:1\nRUN b',
  },
];

/** True if `# hadolint ignore=DL1,DL2` stands on the line above the instruction. */
function isExcused(rule: string, broken: Instruction | string, text: string): boolean {
  if (typeof broken === 'string') return false;
  const above = text.split('\n')[broken.line - 2] ?? '';
  return (
    /^# hadolint ignore=(.*)$/
      .exec(above)?.[1]
      ?.split(',')
      .includes(rule.split(' ')[0] ?? '') === true
  );
}

function violations({ rule, breaks }: Rule, text: string): readonly (Instruction | string)[] {
  return breaks(instructionsOf(text), stagesOf(text)).filter((one) => !isExcused(rule, one, text));
}

for (const rule of RULES) {
  test(rule.rule, () => {
    assert.deepEqual(violations(rule, DOCKERFILE), []);
    assert.equal(violations(rule, rule.bad).length, 1, 'the rule does not find its own bad example');
  });
}

test('the only excuse is for the root user, and the line before gives the reason', () => {
  const lines = DOCKERFILE.split('\n');
  const excuses = lines.flatMap((line, index) => (line.startsWith('# hadolint') ? [[line, lines[index - 1]]] : []));
  assert.equal(excuses.length, 1);
  assert.match(excuses[0]?.join('\n') ?? '', /^# hadolint ignore=DL3002\n# Root, because /);
});

test('dockerfile-utils accepts the Dockerfile, and refuses a bad one', () => {
  assert.deepEqual(validate(DOCKERFILE), []);
  assert.equal(validate('FROM a:1\nEXPOSE x\nCOPPY a b').length, 2);
});
