// Many containers and images without the time that it takes to run and import them: the folder of a stopped container under
// other ids, and an index with more names. Both while no daemon runs.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface IndexFile {
  Path: string;
  ByName: Record<string, ImageEntry[]>;
  ById: Record<string, ImageEntry>;
}

interface ImageEntry {
  Id: string;
  Layers: string[];
  Created: string;
  Parent: string;
}

/** Copies the stopped container `id`, until there are `count` of them in that data directory. */
export function copyContainers(directory: string, id: string, count: number): void {
  const containers = join(directory, 'containers');
  for (let at = readdirSync(containers).length; at < count; at++) {
    const copy = (0xbe000000 + at).toString(16);
    copyFolder(join(containers, id), join(containers, copy), (text) => text.replaceAll(id, copy));
  }
}

/** Gives the index `count` names more, all for the layers of `base`. */
export function writeImages(directory: string, count: number): void {
  changeIndex(directory, ({ base }) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`image-${at}`, base?.Layers ?? []])),
  );
}

/** Gives the index one more name for each list of layers that `layers` makes of the images that are there. */
export function changeIndex(
  directory: string,
  layers: (images: Readonly<Record<string, ImageEntry>>) => Readonly<Record<string, string[]>>,
): void {
  const path = join(directory, 'images/index.json');
  const index = JSON.parse(readFileSync(path, 'utf8')) as IndexFile; // the daemon's own
  const images = Object.fromEntries(Object.entries(index.ByName).map(([name, [newest]]) => [name, newest]));
  const Created = new Date().toISOString();
  for (const [name, Layers] of Object.entries(layers(images as Record<string, ImageEntry>))) {
    const image = { Id: `${name}:${'0'.repeat(16)}`, Layers, Created, Parent: '' };
    index.ByName[name] = [image];
    index.ById[image.Id] = image;
  }
  writeFileSync(path, JSON.stringify(index));
}

function copyFolder(from: string, to: string, rename: (text: string) => string): void {
  mkdirSync(to, { mode: statSync(from).mode & 0o7777 });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, rename(entry.name))];
    if (entry.isDirectory()) copyFolder(source, target, rename);
    else if (/\.json$|^config|^host/.test(entry.name)) writeFileSync(target, rename(readFileSync(source, 'utf8')));
    else copyFileSync(source, target);
  }
}
