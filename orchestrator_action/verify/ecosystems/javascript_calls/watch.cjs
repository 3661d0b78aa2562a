// Loaded before a test: what the test calls of the repository is called again with other arguments.
//
// `verify/calls.py` copies this file beside its report `calls.jsonl`, and writes `process.orchestratorCalls(...)` around
// what test files import. Only plain JSON arguments are varied. The calls are made in the test's own process, so each
// one has a time limit, and what would have an effect is stopped. A promise is no answer.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { inspect } = require('node:util');
const { syncBuiltinESMExports } = require('node:module');
const { variations, hasLeaves, isPlain } = require('./others.cjs');

const MOST_OF_ONE = 8, MOST_CALLS = 60, MOST_DEEP = 2, MOST_BEFORE = 40, CALL_MS = 100, ALL_MS = 15_000;
const REPORT = path.join(__dirname, 'calls.jsonl');
const NO_ANSWER = '?';
const append = fs.appendFileSync;

// -- effects ---------------------------------------------------------------------------------------

const WRITES = /^(?:write|append|mk|rm|unlink|rename|copy|cp|symlink|link|f?truncate|[fl]?ch(?:mod|own)|[fl]?utimes|createWrite|open(?:Sync)?$)/;
const named = (object, pattern) => Object.keys(object).filter((k) => typeof object[k] === 'function' && pattern.test(k)).map((k) => [object, k]);
const EFFECTS = [
  ...named(fs, WRITES), ...named(fs.promises, WRITES), ...named(require('node:child_process'), /^[a-z]/),
  [require('node:net').Socket.prototype, 'connect'], [require('node:net').Server.prototype, 'listen'],
  [require('node:dgram').Socket.prototype, 'send'], [require('node:dgram').Socket.prototype, 'bind'],
  ...['exit', 'abort', 'kill', 'chdir', 'reallyExit'].map((k) => [process, k]),
];
const LATER = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch'];
let stopped = false;

function stop() {
  stopped = true;
  throw new Error('it would have an effect');
}

function withoutEffects(realm, act) {
  const silent = [...named(realm.console, /^[a-z]/), [process.stdout, 'write'], [process.stderr, 'write']];
  const stops = [...EFFECTS, ...LATER.map((k) => [realm, k]), [realm.process, 'exit']].filter(([o, k]) => typeof o[k] === 'function');
  const before = [...silent, ...stops].map(([object, key]) => [object, key, Object.getOwnPropertyDescriptor(object, key)]);
  try {
    for (const [object, key] of silent) object[key] = () => true;
    for (const [object, key] of stops) object[key] = stop;
    syncBuiltinESMExports();
    return act();
  } finally {
    for (const [object, key, own] of before.reverse()) own ? Object.defineProperty(object, key, own) : delete object[key];
    syncBuiltinESMExports();
  }
}

// -- one call --------------------------------------------------------------------------------------

const box = vm.createContext({ ask: null });
const ask = new vm.Script('ask()');

function words(value) {
  if (typeof value?.then === 'function') {
    value.then(() => {}, () => {});
    return NO_ANSWER;
  }
  if (typeof value?.next === 'function' && typeof value[Symbol.iterator] === 'function') {
    const all = value;
    value = [];
    for (const one of all) if (value.push(one) >= 200) break;
  }
  const how = { depth: 6, breakLength: Infinity, compact: true, customInspect: false, maxStringLength: 400 };
  return `=${value === null ? 'null' : typeof value} ${inspect(value, how)}`.slice(0, 400);
}

/** The value in words, or the kind of error. The arguments are made in the test's own realm. */
function answer(called, args) {
  stopped = false;
  box.ask = () => words(Reflect.apply(called.target, called.self, called.realm.JSON.parse(args)));
  try {
    const told = ask.runInContext(box, { timeout: CALL_MS });
    return stopped ? NO_ANSWER : told;
  } catch (error) {
    const unknown = stopped || error?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' || /call stack/.test(error?.message);
    return unknown ? NO_ANSWER : `!${error?.constructor?.name ?? typeof error}`;
  }
}

function askAgain(called, args) {
  const first = answer(called, args);
  if (first === NO_ANSWER || first !== answer(called, args)) return null;
  const varied = variations(JSON.parse(args)).map((other) => [other.slice(1, -1).slice(0, 300), answer(called, other)]);
  return { answer: first, varied, last: answer(called, args) };
}

// -- what a test calls -----------------------------------------------------------------------------

const seen = new Set(), asked = new Map(), wrapped = new WeakMap(), targets = new WeakMap();
let busy = false, spent = 0;

function see(called, file, name, args) {
  if (busy || spent > ALL_MS || seen.size >= MOST_CALLS || !args.length || !isPlain(args) || !hasLeaves(args)) return;
  if (Object.prototype.toString.call(called.target) === '[object AsyncFunction]') return;
  const text = JSON.stringify(args), one = `${file} ${name}`, number = asked.get(one) ?? 0;
  if (number >= MOST_OF_ONE || seen.has(`${one} ${text}`)) return;
  seen.add(`${one} ${text}`);
  asked.set(one, number + 1);
  const began = Date.now();
  busy = true;
  try {
    const found = withoutEffects(called.realm, () => askAgain(called, text));
    if (found) append(REPORT, `${JSON.stringify({ file, name, args: text.slice(1, -1).slice(0, 300), ...found })}\n`);
  } catch {
    // the test goes on: nothing is known of this call
  } finally {
    busy = false;
    spent += Date.now() - began;
  }
}

/** A class whose objects are watched where it was given plain values: one can be made anew then. */
function watchClass(realm, file, value, name) {
  const proxy = new Proxy(value, {
    construct(target, args, newTarget) {
      if (newTarget !== proxy) return Reflect.construct(target, args, newTarget);
      const words = isPlain(args) ? JSON.stringify(args) : '', made = Reflect.construct(target, args);
      return words ? watchObject(realm, file, made, name, () => Reflect.construct(target, realm.JSON.parse(words))) : made;
    },
  });
  wrapped.set(value, proxy);
  return proxy;
}

/** What is called on an object is asked of new ones, on which the same was called before. */
function watchObject(realm, file, made, name, make) {
  const before = [];
  let known = true;
  const again = () => {
    const one = make();
    for (const [key, args] of before) one[key](...realm.JSON.parse(args));
    return one;
  };
  const proxy = new Proxy(made, {
    get(target, key) {
      const one = Reflect.get(target, key, target);
      if (typeof one !== 'function' || typeof key === 'symbol' || key === 'constructor') return one;
      return (...args) => {
        const words = isPlain(args) ? JSON.stringify(args) : '';
        if (known && !busy) see({ realm, target: (...others) => again()[key](...others) }, file, `${name}.${key}`, args);
        known &&= words !== '' && before.push([key, words]) <= MOST_BEFORE;
        const told = Reflect.apply(one, target, args);
        return told === target ? proxy : told;
      };
    },
    set(target, key, value) {
      known = false;
      return Reflect.set(target, key, value, target);
    },
  });
  return proxy;
}

function watch(realm, file, value, name, deep) {
  const tag = Object.prototype.toString.call(value);
  if (typeof value !== 'function' && !/ (?:Object|Module)\]$/.test(tag)) return value;
  if (deep > MOST_DEEP || wrapped.has(value)) return wrapped.get(value) ?? value;
  if (typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))) return watchClass(realm, file, value, name);
  const proxy = new Proxy(value, {
    get(target, key) {
      const own = Reflect.getOwnPropertyDescriptor(target, key);
      const one = Reflect.get(target, key);
      const fixed = typeof key === 'symbol' || !own || (!own.configurable && 'value' in own && !own.writable);
      const called = deep || typeof value === 'function' ? `${name}.${String(key)}` : key;
      return fixed ? one : watch(realm, file, one, called, deep + 1);
    },
    apply(target, self, args) {
      const called = { realm, target, self: targets.get(self) ?? self };
      see(called, file, name, args);
      return Reflect.apply(target, called.self, args);
    },
  });
  wrapped.set(value, proxy);
  targets.set(proxy, value);
  return proxy;
}

process.orchestratorCalls = (realm, file, value) => {
  const name = typeof value === 'function' && value.name;
  return watch(realm, file, value, name || path.parse(file).name, 0);
};
