// For scripts that start several runs: each run of jest, vitest or mocha gets a reporter with a file of its own.
// It is copied into the folder of the reports and loaded by NODE_OPTIONS. What a run starts itself is left alone.
'use strict';
const { realpathSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');
const path = require('node:path');

const out = (name, ending) => path.join(__dirname, `${name}-${Date.now()}-${process.pid}.${ending}`);
const RUNS = [
  [/\/jest(?:-cli)?\/bin\/jest\.js$/, /^--(?:json|outputFile|watch|listTests|showConfig|init)/, () => ['--json', `--outputFile=${out('jest', 'json')}`]],
  [/\/vitest\/(?:vitest\.mjs|dist\/cli(?:-wrapper)?\.js)$/, /^(?:--(?:reporter|outputFile|watch)|bench$|list$|init$)/,
    () => ['--reporter=default', '--reporter=json', `--outputFile.json=${out('jest', 'json')}`]],
  [/\/mocha\/bin\/_?mocha(?:\.js)?$/, /^(?:--(?:reporter|watch|list)|-[Rw]$)/,
    () => ['--reporter', path.join(__dirname, 'mocha.cjs'), '--reporter-option', `out=${out('mocha', 'jsonl')}`]],
];

function program() {
  try {
    return realpathSync(process.argv[1]);
  } catch {
    return '';
  }
}

const run = isMainThread && process.argv[1] ? RUNS.find(([name]) => name.test(program())) : undefined;
if (run) {
  const own = process.env.NODE_OPTIONS ?? '';
  process.env.NODE_OPTIONS = own.replace(/--require "[^"]*each_run\.cjs"\s*/, '');
  const [, asked, options] = run;
  const given = process.argv.slice(2);
  if (![...given, ...own.split(' ')].some((word) => asked.test(word) || /^(?:--help|--version|-h|-v)$/.test(word))) {
    const dashes = given.indexOf('--');
    process.argv.splice(dashes < 0 ? process.argv.length : dashes + 2, 0, ...options());
  }
}
