// The index of images: names, each with its history, in one JSON file that is replaced as a whole.
//
// The rule that must hold: what a caller is told is on disk. A change is worked out, written, and only then seen by
// others; changes happen one after the other.
//
// 2013: image/image.go, Index and History

import { readFile } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import { writeFileAtomically } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { fromParsed, goMarshal, type GoValue } from '../util/go-json.js';
import { step } from '../util/steps.js';
import { imageFromJSON, imageToJSON, type Image } from './image.js';

const INDEX_MODE = 0o600;
const KNOWN_KEYS = ['Path', 'ByName', 'ById'];

/** The histories by name, newest first. */
type Names = ReadonlyMap<string, readonly Image[]>;

/** See the head of the file. */
export class Index {
  readonly #path: string;
  #names: Names;
  #byId: ReadonlyMap<string, Image>;
  /** keys of the file that are not known here */
  readonly #unknown: Readonly<Record<string, GoValue>>;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, names: Names, unknown: Readonly<Record<string, GoValue>>) {
    this.#path = path;
    this.#names = names;
    this.#byId = byId(names);
    this.#unknown = unknown;
  }

  /** Reads the index at `path`; one that is missing is empty. Rejects with its name and why where it cannot be read. */
  static async open(path: string, layersPath: string): Promise<Index> {
    const read = await readIndex(path);
    const names = new Map<string, Image[]>();
    for (const [name, history] of Object.entries(asObject(read['ByName']))) {
      if (!Array.isArray(history)) continue;
      names.set(
        name,
        history.flatMap((json) => imageFromJSON(json, layersPath) ?? []),
      );
    }
    const unknown = Object.entries(read).filter(([key]) => !KNOWN_KEYS.includes(key));
    return new Index(path, names, Object.fromEntries(unknown.map(([key, value]) => [key, fromParsed(value)])));
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

  /** Makes `image` the newest of `name`. The same id as the newest is not added again. 2013: Index.Add and History.Add */
  async add(name: string, image: Image): Promise<Image> {
    return this.#change((names) => {
      const history = names.get(name) ?? [];
      const [newest] = history;
      if (newest?.id === image.id) return newest;
      names.set(name, [image, ...history]);
      return image;
    });
  }

  /** Works a change out on a copy, writes it, and makes it the index. */
  async #change<T>(work: (names: Map<string, readonly Image[]>) => T): Promise<T> {
    const change = async (): Promise<T> => {
      const names = new Map(this.#names);
      const result = work(names);
      await writeFileAtomically(this.#path, this.#text(names), INDEX_MODE);
      this.#names = names;
      this.#byId = byId(names);
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

function byId(names: Names): Map<string, Image> {
  // Oldest first, so that of two with one id the newest stays.
  return new Map([...names.values()].flatMap((history) => [...history].reverse().map((image) => [image.id, image])));
}

async function readIndex(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error('it holds no JSON object');
    return asObject(value);
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return {};
    throw new Error(`Cannot read ${path}: ${errorMessage(cause)}`, { cause });
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : {}; // any object is one
}
