// The first file of each worker thread of a daemon whose calls are to fail: see `preload.ts`. The worker's own file is its
// argument.

import './preload.js';

await import(process.argv[2] ?? '');
