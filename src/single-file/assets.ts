// In the single executable: what lies inside of it beside its main script.

import { createRequire } from 'node:module';
import { compileFunction } from 'node:vm';

/** Of `node:sea` what is used here; older versions of Node, which compile this file too, do not have the module. */
interface Sea {
  getAsset(name: string, encoding: 'utf8'): string;
  getRawAsset(name: string): ArrayBuffer;
}

type ModuleCode = (require: NodeJS.Require, module: { exports: unknown }) => void;

/** Finds node's own modules, and no others: there are no files. */
const requireOfNode = createRequire('file:///');
const sea = requireOfNode('node:sea') as Sea; // as documented

/** The text of an asset. Throws where there is none of that name. */
export function assetText(name: string): string {
  return sea.getAsset(name, 'utf8');
}

/** The bytes of an asset, in place: they cannot be written. */
export function assetBytes(name: string): Uint8Array {
  return new Uint8Array(sea.getRawAsset(name));
}

/** Runs the script in an asset as a module, and returns what it exports. */
export function loadModule(name: string): unknown {
  const module: { exports: unknown } = { exports: {} };
  const run = compileFunction(assetText(name), ['require', 'module'], { filename: name }) as ModuleCode;
  run(requireOfNode, module);
  return module.exports;
}
