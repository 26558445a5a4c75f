// The index of images: names, each with its history, in one JSON file that is replaced as a whole.
//
// The rules that must hold: what a caller is told is on disk. A change is worked out, written, and only then seen by
// others; changes happen one after the other. And what could not be read is not lost by the next change: the file is set
// aside as it was.
//
// 2013: image/image.go, Index and History

import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import { writeFileAtomically } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal, membersFromParsed, type GoValue } from '../util/go-json.js';
import { step } from '../util/steps.js';
import { imageFromJSON, imageToJSON, newImage, type Image } from './image.js';
import { matchNames } from './match-names.js';

const INDEX_MODE = 0o600;
const KNOWN_KEYS = ['Path', 'ByName', 'ById'];

/** The histories by name, newest first. */
type Names = ReadonlyMap<string, readonly Image[]>;

/** See the head of the file. */
export class Index {
  /** What of the file was not understood, now or at an earlier start: a line for the daemon's log. Undefined for nothing. */
  readonly damage: string | undefined;
  /** there was no file */
  readonly isMissing: boolean;
  readonly #path: string;
  #names: Names;
  #byId: ReadonlyMap<string, Image>;
  #layers: ReadonlySet<string>;
  /** keys of the file that are not known here */
  readonly #unknown: Readonly<Record<string, GoValue>>;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string,
    names: Names,
    unknown: Readonly<Record<string, GoValue>>,
    is: { isMissing: boolean; damage: string | undefined },
  ) {
    this.#path = path;
    this.#names = names;
    this.#byId = byId(names);
    this.#layers = layersOf(names);
    this.#unknown = unknown;
    this.isMissing = is.isMissing;
    this.damage = is.damage;
  }

  /** Reads the index at `path`; one that is missing is empty. Rejects with its name and why where it cannot be read. */
  static async open(path: string, layersPath: string): Promise<Index> {
    const read = await readIndex(path);
    const { names, isWhole } = parseNames(read ?? {}, layersPath);
    const aside = `${path}.damaged`;
    if (!isWhole && !existsSync(aside)) await copyFile(path, aside);
    const damage = existsSync(aside) ? `${path} held what is no image, see ${aside}` : undefined;
    const unknown = Object.entries(read ?? {}).filter(([key]) => !KNOWN_KEYS.includes(key));
    return new Index(path, names, membersFromParsed(Object.fromEntries(unknown)), {
      isMissing: read === undefined,
      damage,
    });
  }

  /** The image of that id, or the newest of that name; undefined where there is none. 2013: Index.Find */
  find(idOrName: string): Image | undefined {
    return this.#byId.get(idOrName) ?? this.#names.get(idOrName)?.[0];
  }

  /** All names, sorted. 2013: Index.Names */
  get names(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** The versions of a name, newest first; none where nothing has that name. */
  history(name: string): readonly Image[] {
    return this.#names.get(name) ?? [];
  }

  /** How many versions there are in all. */
  get size(): number {
    return this.#byId.size;
  }

  /** Whether an image has the layer of that path. */
  usesLayer(layer: string): boolean {
    return this.#layers.has(layer);
  }

  /** Makes `image` the newest of `name`. The same id as the newest is not added again. 2013: Index.Add and History.Add */
  async add(name: string, image: Image): Promise<Image> {
    return this.#change((names) => addVersion(names, name, image));
  }

  /**
   * Makes a new version of `name` with the layers of another image, which becomes its parent; `created` is as in JSON.
   * Rejects where there is no such image, and where the name is empty. 2013: Index.Copy
   */
  async copy(idOrName: string, name: string, created: string): Promise<Image> {
    if (name === '') throw new Error('Illegal image name');
    return this.#change((names) => {
      const source = this.find(idOrName); // not before: a change under way may take it away
      if (source === undefined) throw new Error(`No such image: ${idOrName}`);
      return addVersion(names, name, newImage(name, source.layers, created, source.id));
    });
  }

  /** Removes the name with all its versions, and resolves with them. Rejects where there is no such name. 2013: Index.Delete */
  async delete(name: string): Promise<readonly Image[]> {
    return this.#change((names) => {
      const history = names.get(name);
      if (history === undefined) throw new Error(`No such image: ${name}`);
      names.delete(name);
      return history;
    });
  }

  /**
   * Removes the names that a regular expression matches, with all their versions, and resolves with these. 2013:
   * Index.DeleteMatch
   */
  async deleteMatch(pattern: string): Promise<readonly Image[]> {
    const matching = await matchNames(pattern, this.names);
    if (matching.length === 0) return [];
    return this.#change((names) =>
      matching.flatMap((name) => {
        const history = names.get(name) ?? []; // gone meanwhile
        names.delete(name);
        return history;
      }),
    );
  }

  /** Writes the file. */
  async save(): Promise<void> {
    await this.#change(() => undefined);
  }

  /** Works a change out on a copy, writes it, and makes it the index. */
  async #change<T>(work: (names: Map<string, readonly Image[]>) => T): Promise<T> {
    const change = async (): Promise<T> => {
      const names = new Map(this.#names);
      const result = work(names);
      await writeFileAtomically(this.#path, this.#text(names), INDEX_MODE);
      this.#names = names;
      this.#byId = byId(names);
      this.#layers = layersOf(names);
      step('index', 'image/image.go, Index.save', () => ({ path: this.#path, names: names.size }));
      return result;
    };
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => undefined); // whoever asked for it is told
    return changed;
  }

  #text(names: Names): string {
    const histories = [...names].map(([name, history]) => [name, history.map(imageToJSON)] as const);
    const ids = [...byId(names)].map(([id, image]) => [id, imageToJSON(image)] as const);
    return goMarshal({ Path: this.#path, ByName: new Map(histories), ById: new Map(ids), ...this.#unknown });
  }
}

/** Puts `image` before the others of its name, unless it is the newest already. Returns the newest. */
function addVersion(names: Map<string, readonly Image[]>, name: string, image: Image): Image {
  const history = names.get(name) ?? [];
  const [newest] = history;
  if (newest?.id === image.id) return newest;
  names.set(name, [image, ...history]);
  return image;
}

function byId(names: Names): Map<string, Image> {
  // Oldest first, so that of two with one id the newest stays.
  return new Map([...names.values()].flatMap((history) => [...history].reverse().map((image) => [image.id, image])));
}

function layersOf(names: Names): Set<string> {
  return new Set([...names.values()].flat().flatMap(({ layers }) => layers));
}

/** The histories in a file, without what is no image. `isWhole` says whether that was nothing. */
function parseNames(read: Readonly<Record<string, unknown>>, layersPath: string): { names: Names; isWhole: boolean } {
  const names = new Map<string, Image[]>();
  const byName = read['ByName'] ?? {}; // Go writes null for what was never made
  let isWhole = isObject(byName);
  for (const [name, history] of Object.entries(asObject(byName))) {
    const entries: unknown[] = Array.isArray(history) ? history : [];
    const images = entries.flatMap((json) => imageFromJSON(json, layersPath) ?? []);
    isWhole &&= Array.isArray(history) && images.length === entries.length;
    if (Array.isArray(history)) names.set(name, images);
  }
  const known = byId(names);
  isWhole &&= Object.keys(asObject(read['ById'])).every((id) => known.has(id));
  return { names, isWhole };
}

/** The object in the file at `path`; undefined where there is no file. */
async function readIndex(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isObject(value)) throw new Error('it holds no JSON object');
    return value;
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return undefined;
    throw new Error(`Cannot read ${path}: ${errorMessage(cause)}`, { cause });
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
