// A reporter for mocha: what its own `spec` reporter prints, and one JSON line for each case.
'use strict';
const { appendFileSync } = require('node:fs');
const { relative } = require('node:path');

const mocha = require(require.resolve('mocha', { paths: [process.cwd()] }));

module.exports = class Cases extends mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const out = options.reporterOptions?.out ?? options.reporterOption?.out;
    const write = (outcome) => (test, error) => {
      const path = typeof test.titlePath === 'function' ? test.titlePath() : [test.fullTitle()];
      appendFileSync(out, JSON.stringify({
        file: test.file ? relative(process.cwd(), test.file) : '',
        names: path,
        outcome: test.type === 'hook' ? 'error' : outcome,
        duration_s: (test.duration ?? 0) / 1000,
        message: error ? String(error.message ?? error) : '',
      }) + '\n');
    };
    runner.on('pass', write('passed'));
    runner.on('fail', write('failed'));
    runner.on('pending', write('skipped'));
  }
};
