// Builds dist/tsdock, the single executable: Node itself, and in it the program, the code of its worker threads, the LXC
// templates and the native part of koffi. binary.sh runs it with the node that goes in.
//
// The client is the main script, and starts fast because that is all; the daemon is a script beside it. What is an asset in
// the executable and a file elsewhere is reached through modules that src/single-file/ replaces.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const top = fileURLToPath(new URL('..', import.meta.url));
const compiled = join(top, 'dist/src');
const folder = join(top, 'dist/single-file');
const output = join(top, 'dist/tsdock');
const replacement = (name) => join(compiled, 'single-file', name);

/** What tsdock.ts loads only for a daemon: a script of its own each. */
const parts = ['server/daemon.js', 'server/clean.js'];
const workers = readdirSync(compiled, { recursive: true }).filter((name) => name.endsWith('-worker.js'));

/** Puts the modules of src/single-file/ in place of what finds files. */
const inPlace = {
  name: 'in-place',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /\/program-files\.js$/ }, () => ({ path: replacement('program-files.js') }));
    onResolve({ filter: /^\.\/src\/static\.js$/ }, () => ({ path: replacement('koffi-native.js') })); // koffi's own
    onResolve({ filter: /^\.\/server\// }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path: basename(path), namespace: 'part' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'part' }, ({ path }) => ({
      contents: `import { loadModule } from ${JSON.stringify(replacement('assets.js'))};
module.exports = loadModule(${JSON.stringify(path)});`,
      resolveDir: top,
    }));
  },
};

mkdirSync(folder, { recursive: true });
await build({
  entryPoints: ['tsdock.js', ...parts, ...workers].map((name) => join(compiled, name)),
  outdir: folder,
  entryNames: '[name]',
  bundle: true,
  platform: 'node',
  target: `node${process.versions.node}`,
  // In this format a module is loaded when it is asked for, node's own too: the client asks for few.
  format: 'cjs',
  // Of the address of a worker thread only the last part counts.
  define: { 'import.meta.url': '"file:///"', 'import.meta.dirname': '"/"' },
  plugins: [inPlace],
});

const asset = (name) => [basename(name), join(folder, basename(name))];
const template = (name) => [`lxc-templates/${name}`, join(top, 'lxc-templates', name)];
const system = `${process.platform}-${process.arch}`;
const configuration = join(folder, 'sea.json');
const settings = {
  main: join(folder, 'tsdock.js'),
  output: `${output}.new`,
  disableExperimentalSEAWarning: true,
  useCodeCache: true,
  execArgvExtension: 'none',
  assets: Object.fromEntries([
    ...[...parts, ...workers].map(asset),
    ...readdirSync(join(top, 'lxc-templates')).map(template),
    ['package.json', join(top, 'package.json')],
    ['koffi.node', join(top, `node_modules/@koromix/koffi-${system}/${system.replace('-', '_')}/koffi.node`)],
  ]),
};
writeFileSync(configuration, JSON.stringify(settings, null, 2));
execFileSync(process.execPath, ['--build-sea', configuration], { stdio: ['ignore', 'ignore', 'inherit'] });
chmodSync(settings.output, 0o755);
renameSync(settings.output, output); // one that runs is not written to
console.log(`built ${output}`);
