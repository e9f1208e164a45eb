// JSON for people: read with the place of a mistake, drawn with one colour a kind of value.
import { el } from './dom.js';

/** @returns {{value?: any, error?: string}} The error names line and column where the browser tells them. */
export function readJson(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (e) {
    return { error: place(text, e.message) };
  }
}

function place(text, message) {
  const at = /position (\d+)/.exec(message);
  if (!at) return message;
  const before = text.slice(0, Number(at[1])).split('\n');
  return message.replace(/ ?(?:in JSON )?at position \d+(?: \(line \d+ column \d+\))?/, ` at line ${before.length}, column ${before.at(-1).length + 1}`);
}

/** Indented and coloured, as one <pre>; what is short enough for a line stays on it when `compact`. */
export function jsonView(value, compact = false) {
  const code = el('code');
  write(code, value, '', compact ? 60 : 0);
  return el('pre', { class: 'json' }, code);
}

function write(code, value, indent, width) {
  if (value === null || typeof value !== 'object') {
    code.append(el('span', { class: 'j-' + (value === null ? 'null' : typeof value) }, JSON.stringify(value)));
    return;
  }
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const entries = Object.entries(value);
  if (entries.length === 0) return code.append(open + close);
  const oneLine = JSON.stringify(value).length <= width;
  const inner = indent + '  ';
  code.append(open);
  entries.forEach(([key, child], i) => {
    code.append(oneLine ? (i ? ', ' : '') : (i ? ',\n' : '\n') + inner);
    if (open === '{') code.append(el('span', { class: 'j-key' }, JSON.stringify(key)), ': ');
    write(code, child, inner, width);
  });
  code.append(oneLine ? '' : '\n' + indent, close);
}
