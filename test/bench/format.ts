// Figures and text as the report of the benchmark shows them.

import type { Unit } from './measure.js';

/** `12.3 ms`. */
export function formatted(value: number, unit: Unit): string {
  const isWhole = unit === 'calls' || unit === 'lines' || value >= 1000;
  const digits = isWhole ? 0 : value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text} ${unit}`;
}

/** As text in a page. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
