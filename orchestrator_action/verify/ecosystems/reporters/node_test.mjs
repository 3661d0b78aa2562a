// A reporter for `node --test`: one JSON line for each case, into the file that stands in this module's own URL.
// Lines are appended, because one command may start several runs.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

const out = new URL(import.meta.url).searchParams.get('out');

export default async function* cases(source) {
  const names = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names[data.nesting] = data.name;
    } else if (type === 'test:pass' || type === 'test:fail') {
      if (data.details?.type === 'suite') continue;
      const todo = data.todo !== undefined && data.todo !== false;
      const skip = data.skip !== undefined && data.skip !== false;
      appendFileSync(out, JSON.stringify({
        file: data.file ? relative(process.cwd(), data.file) : '',
        names: [...names.slice(0, data.nesting), data.name],
        outcome: skip || todo ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed',
        duration_s: (data.details?.duration_ms ?? 0) / 1000,
        message: type === 'test:fail' ? String(data.details?.error?.cause?.message ?? data.details?.error?.message ?? '') : '',
      }) + '\n');
    }
  }
}
