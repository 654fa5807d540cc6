/// <reference lib="dom" />
import type { OverviewHistory, Points } from './history-answer.js';

const WIDTH = 120;
const HEIGHT = 24;
const SECONDS = 15 * 60;
const SVG = 'http://www.w3.org/2000/svg';

/** Draws the exits of a VM to KVM (an area) and to QEMU (a line) into a cell of the table. */
export function drawSparkline(
  cell: Element,
  secondsAgo: readonly number[],
  { kvm, qemu }: Pick<OverviewHistory['vms'][number], 'kvm' | 'qemu'>,
): void {
  const max = Math.max(1, ...[...kvm, ...qemu].map((value) => value ?? 0));
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute(
    'aria-label',
    `exits per second in the last 15 minutes: up to ${highest(kvm)} to KVM, up to ${highest(qemu)} to QEMU`,
  );
  for (const [points, name, isArea] of [
    [kvm, 'spark-kvm', true],
    [qemu, 'spark-qemu', false],
  ] as const) {
    const path = svg.appendChild(document.createElementNS(SVG, 'path'));
    path.setAttribute('class', name);
    path.setAttribute('d', pathOf(points, secondsAgo, max, isArea));
  }
  cell.replaceChildren(svg);
}

function highest(points: Points): string {
  const known = points.filter((value) => value !== null);
  return known.length === 0 ? 'unknown' : Math.max(...known).toLocaleString('en', { maximumFractionDigits: 0 });
}

/** A point that is not known interrupts the line. */
function pathOf(points: Points, secondsAgo: readonly number[], max: number, isArea: boolean): string {
  const parts: string[] = [];
  let run: string[] = [];
  const endRun = () => {
    const [first, last] = [run[0], run.at(-1)];
    if (first !== undefined && last !== undefined)
      parts.push(
        isArea
          ? `M${first.split(' ')[0]} ${HEIGHT}L${run.join('L')}L${last.split(' ')[0]} ${HEIGHT}Z`
          : `M${run.join('L')}`,
      );
    run = [];
  };
  points.forEach((value, index) => {
    const x = WIDTH * (1 - (secondsAgo[index] ?? 0) / SECONDS);
    if (value === null) endRun();
    else run.push(`${x.toFixed(1)} ${(HEIGHT - 1 - (HEIGHT - 2) * (value / max)).toFixed(1)}`);
  });
  endRun();
  return parts.join('');
}
