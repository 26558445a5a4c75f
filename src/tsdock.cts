#!/usr/bin/env node
// Where node begins. All that it does is load tsdock.ts, which is the program.
//
// It is the one CommonJS module among ES modules: node 20 begins with one some milliseconds sooner. And it is a file apart
// because `npm run build` writes another in place of its compiled form (examples/bundle.js): the client with all its
// modules in one, which starts in half the time. After `tsc` alone it is this one again, so that what runs is never older
// than what was compiled last.
//
// 2013: none

import('./tsdock.js').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
