// The last step of `npm run build`: writes dist/src/tsdock.cjs, which node runs, with the client in it: tsdock.js and the
// modules that a call to a daemon needs, as one CommonJS file. To read twenty modules one by one takes node as long again
// as all the rest of a short call.
//
// What only some calls need (the daemon, TLS, a terminal, a shell) stays in files of its own, and is loaded from there.
//
//     node examples/bundle.js [FILE]     writes FILE instead; only a client without such a need runs from there

import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const compiled = fileURLToPath(new URL('../dist/src', import.meta.url));
/** Of what is loaded on demand, what goes in all the same. */
const CLIENT = './client/client.js';

/** Leaves all else that is loaded on demand where it is. */
const onDemand = {
  name: 'on-demand',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import' || path === CLIENT) return undefined;
      const isFile = path.startsWith('.');
      return { external: true, path: isFile ? `./${relative(compiled, join(resolveDir, path))}` : path };
    });
  },
};

await build({
  entryPoints: [join(compiled, 'tsdock.js')],
  outfile: process.argv[2] ?? join(compiled, 'tsdock.cjs'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  banner: { js: '#!/usr/bin/env node' },
  plugins: [onDemand],
});
