// Other arguments for a call, as `python_calls/others.py` makes them: the same ones for the same call. Pure.
'use strict';

const MOST_VARIED = 60, MOST_LEAVES = 2_000;

/** Whether it is made of what JSON knows, and is not too large. */
function isPlain(value, left = { parts: MOST_LEAVES }) {
  left.parts -= 1;
  if (left.parts < 0) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return Array.from(value).every((v) => isPlain(v, left));
  if (typeof value !== 'object') return false;
  const kind = Object.getPrototypeOf(value);
  return (kind === null || kind.constructor?.name === 'Object') && Object.values(value).every((v) => isPlain(v, left));
}

/** Every number and text, with the way to it. */
function leaves(value, way = []) {
  if (typeof value === 'number' || typeof value === 'string') return [[way, value]];
  return value === null || typeof value !== 'object' ? [] : Object.entries(value).flatMap(([k, v]) => leaves(v, [...way, k]));
}

/** The value with `change` made wherever it gives another one. */
function changed(value, change) {
  const other = change(value);
  if (other !== value) return other;
  if (Array.isArray(value)) return value.map((v) => changed(v, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, changed(v, change)]));
}

const number = (change) => (v) => (typeof v === 'number' ? change(v) : v);
const text = (change) => (v) => (typeof v === 'string' && v ? change(v) : v);
const sequence = (change) => (v) => ((typeof v === 'string' || Array.isArray(v)) && v.length ? change(v) : v);
const reversed = (s) => (typeof s === 'string' ? [...s].reverse().join('') : [...s].reverse());

/** Each letter and digit becomes another one of its kind. */
function turn(steps) {
  const one = (c) => {
    for (const [first, size] of [['0', 10], ['a', 26], ['A', 26]]) {
      const place = c.charCodeAt(0) - first.charCodeAt(0);
      if (place >= 0 && place < size) return String.fromCharCode(((place + steps) % size) + first.charCodeAt(0));
    }
    return c;
  };
  return text((s) => [...s].map(one).join(''));
}

const swapCase = (s) => [...s].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join('');
const EVERYWHERE = [
  number((n) => n + 1), number((n) => n - 1), number((n) => n * 2), number((n) => n + 10), number((n) => n + 3),
  number((n) => (n ? -n : n)), turn(1), turn(7), text(swapCase), sequence(reversed), sequence((s) => s.concat(s.slice(-1))),
  sequence((s) => s.slice(0, -1)), sequence((s) => s.slice(1)), sequence((s) => s.concat(s)),
  sequence((s) => s.slice(1).concat(s.slice(0, 1))), (v) => (typeof v === 'boolean' ? !v : v),
];

function put(value, way, leaf) {
  const copy = structuredClone(value);
  let part = copy;
  for (const key of way.slice(0, -1)) part = part[key];
  part[way.at(-1)] = leaf;
  return copy;
}

/** Other lists of arguments of the same kinds, as JSON; none twice. */
function variations(given) {
  const found = new Set();
  const add = (other) => found.add(JSON.stringify(other));
  for (const change of EVERYWHERE) add(given.map((v) => changed(v, change)));
  for (const [way, leaf] of leaves(given).slice(0, 12)) {
    const others = typeof leaf === 'string' ? [leaf + leaf.slice(-1), leaf.slice(0, -1), reversed(leaf)] : [leaf + 1, leaf - 1, leaf + 5];
    for (const other of others) add(put(given, way, other));
  }
  found.delete(JSON.stringify(given));
  return [...found].slice(0, MOST_VARIED);
}

module.exports = { isPlain, variations, hasLeaves: (given) => leaves(given).length > 0 };
