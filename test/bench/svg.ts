// Draws curves, as one SVG: a plot for each, two beside each other, both axes logarithmic, with the numbers written at the
// axes and the names of the lines below the title.

import type { Curve, Series } from './curve.js';
import { growthOf } from './fit.js';
import { escaped, formatted } from './format.js';

const WIDTH = 560;
const HEIGHT = 380;
const LEFT = 80;
const RIGHT = 24;
const BOTTOM = 48;
const TOP = 34;
const LINE_HEIGHT = 17;
const COLUMNS = 2;
const COLOURS = ['#1f5fa8', '#c8501e', '#2e8540', '#7a3e9d'];

/** All plots. */
export function svg(curves: readonly Curve[]): string {
  const rows = Math.ceil(curves.length / COLUMNS);
  const [width, height] = [WIDTH * COLUMNS, HEIGHT * rows];
  const plots = curves.map((curve, at) => {
    const [x, y] = [(at % COLUMNS) * WIDTH, Math.floor(at / COLUMNS) * HEIGHT];
    return `<g transform="translate(${x} ${y})">\n${plot(curve)}</g>\n`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${plots.join('')}</svg>
`;
}

/** The decades that hold all values: their exponents, at least one decade apart. */
export function decades(values: readonly number[]): [number, number] {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  return [low, Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))))];
}

function plot({ title, things, unit, series }: Curve): string {
  const points = series.flatMap((each) => each.points);
  const [fromX, toX] = decades(points.map(([x]) => x));
  const [fromY, toY] = decades(points.map(([, y]) => y));
  const top = TOP + LINE_HEIGHT * series.length + 12;
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  const atX = (value: number): number => LEFT + ((Math.log10(value) - fromX) / (toX - fromX)) * (right - LEFT);
  const atY = (value: number): number => bottom - ((Math.log10(value) - fromY) / (toY - fromY)) * (bottom - top);

  const parts = [text(LEFT, 22, title, 'font-size="15" font-weight="bold"')];
  for (let decade = fromX; decade <= toX; decade++) {
    const x = atX(10 ** decade);
    parts.push(rule(x, top, x, bottom), text(x, bottom + 18, (10 ** decade).toLocaleString('en-US'), MIDDLE));
  }
  for (let decade = fromY; decade <= toY; decade++) {
    const y = atY(10 ** decade);
    parts.push(rule(LEFT, y, right, y));
    parts.push(text(LEFT - 6, y + 4, `${(10 ** decade).toLocaleString('en-US')} ${unit}`, 'text-anchor="end"'));
  }
  parts.push(text((LEFT + right) / 2, bottom + 38, things, MIDDLE));
  series.forEach((line, at) => {
    const colour = COLOURS[at % COLOURS.length] ?? '';
    const y = TOP + LINE_HEIGHT * (at + 0.4);
    const path = line.points.map(([px, py]) => `${atX(px).toFixed(1)},${atY(py).toFixed(1)}`);
    parts.push(`<polyline fill="none" stroke="${colour}" stroke-width="2" points="${path.join(' ')}"/>\n`);
    for (const point of path) parts.push(dot(point, colour));
    parts.push(rule(LEFT, y, LEFT + 18, y, colour, 3), text(LEFT + 24, y + 4, legend(line, unit), ''));
  });
  return parts.join('');
}

const MIDDLE = 'text-anchor="middle"';

/** Short enough for the width of a plot. */
function legend({ name, points }: Series, unit: Curve['unit']): string {
  const { kind, exponent, factor } = growthOf(points);
  const how = kind === 'worse than linear' ? ', WORSE THAN LINEAR' : '';
  const growth = kind === 'flat' ? 'flat' : `exponent ${exponent.toFixed(2)}, × ${factor.toFixed(1)}${how}`;
  return `${name}: ${growth}; ${formatted(points.at(-1)?.[1] ?? NaN, unit)}`;
}

function dot(point: string, colour: string): string {
  const [x, y] = point.split(',');
  return `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>\n`;
}

function rule(x1: number, y1: number, x2: number, y2: number, colour = '#ddd', width = 1): string {
  const ends = `x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"`;
  return `<line ${ends} stroke="${colour}" stroke-width="${width}"/>\n`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped(content)}</text>\n`;
}
