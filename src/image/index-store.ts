// The index of images: names, each with its history, in one JSON file that is replaced as a whole.
//
// The rules that must hold: what a caller is told is on disk. A change is worked out, written, and only then seen by
// others; changes happen one after the other. And what could not be read is not lost by the next change: the file is set
// aside as it was, and is reported until somebody takes it away.
//
// DIFFERS D55: to the original a damaged index was a reason not to start.
//
// 2013: image/image.go, Index and History

import { NotSyncedError, writeFileAtomically } from '../util/atomic-file.js';
import { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal, membersFromParsed, type GoValue } from '../util/go-json.js';
import { step } from '../util/steps.js';
import { readRegularFile } from '../util/regular-file.js';
import { findAside, isPathTaken, keepAside, setAside } from '../util/set-aside.js';
import { imageToJSON, newImage, type Image } from './image.js';
import { matchNames } from './match-names.js';
import { byId, isObject, parseNames, type Names } from './parse-index.js';

const INDEX_MODE = 0o600;
const KNOWN_KEYS = ['Path', 'ByName', 'ById'];
/** The longest index, in bytes: of more than that node makes no text. */
const MAX_INDEX_BYTES = 256 * 1024 * 1024;

/** See the head of the file. */
export class Index {
  /** there was no file, or none that could be used */
  readonly isMissing: boolean;
  readonly #path: string;
  #names: Names;
  #byId: ReadonlyMap<string, Image>;
  #layers: ReadonlySet<string>;
  /** all names, sorted: made for the first who asks */
  #sorted: readonly string[] | undefined;
  /** keys of the file that are not known here */
  readonly #unknown: Readonly<Record<string, GoValue>>;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, names: Names, unknown: Readonly<Record<string, GoValue>>, isMissing: boolean) {
    this.#path = path;
    this.#names = names;
    this.#byId = byId(names);
    this.#layers = layersOf(names);
    this.#unknown = unknown;
    this.isMissing = isMissing;
  }

  /**
   * Reads the index at `path`; one that is missing is empty. One that cannot be read is set aside, and of one with entries
   * that are none the others are kept: `damage` is told.
   */
  static async open(path: string, layersPath: string, damage = new DamageReport()): Promise<Index> {
    for (const aside of findAside(path)) report(damage, aside, 'was set aside earlier');
    let read: Readonly<Record<string, unknown>> | undefined;
    try {
      read = readIndex(path);
    } catch (error) {
      const aside = await setAside(path);
      report(damage, aside, `was ${path}, which cannot be used: ${errorMessage(error)}; there are no images now`);
    }
    const { names, problem } = parseNames(read ?? {}, layersPath);
    const unknown = Object.entries(read ?? {}).filter(([key]) => !KNOWN_KEYS.includes(key));
    const index = new Index(path, names, membersFromParsed(Object.fromEntries(unknown)), read === undefined);
    if (problem !== undefined) {
      report(damage, await keepAside(path), `is what ${path} was before ${problem} was left out; the rest is kept`);
      // Else the next start would find the same again. Where it cannot be written, it does.
      await index.save().catch((error: unknown) => damage.add(errorMessage(error)));
    }
    return index;
  }

  /** The image of that id, or the newest of that name; undefined where there is none. 2013: Index.Find */
  find(idOrName: string): Image | undefined {
    return this.#byId.get(idOrName) ?? this.#names.get(idOrName)?.[0];
  }

  /** All names, sorted. 2013: Index.Names */
  get names(): readonly string[] {
    return (this.#sorted ??= [...this.#names.keys()].sort());
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
      const text = this.#text(names);
      // The next daemon would take it for damaged.
      if (Buffer.byteLength(text) > MAX_INDEX_BYTES)
        throw new Error(`Cannot write ${this.#path}: it would be too long`);
      try {
        await writeFileAtomically(this.#path, text, INDEX_MODE);
      } catch (error) {
        if (error instanceof NotSyncedError) this.#adopt(names); // it is what the disk has
        throw error;
      }
      this.#adopt(names);
      step('index', 'image/image.go, Index.save', () => ({ path: this.#path, names: names.size }));
      return result;
    };
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => undefined); // whoever asked for it is told
    return changed;
  }

  #adopt(names: Names): void {
    this.#names = names;
    this.#byId = byId(names);
    this.#layers = layersOf(names);
    this.#sorted = undefined;
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

function layersOf(names: Names): Set<string> {
  return new Set([...names.values()].flat().flatMap(({ layers }) => layers));
}

/** The object in the file at `path`; undefined where there is no file. */
function readIndex(path: string): Readonly<Record<string, unknown>> | undefined {
  const text = readRegularFile(path, MAX_INDEX_BYTES);
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error('it holds no JSON object');
  const isForeign = Object.keys(value).length > 0 && value['ByName'] === undefined && value['ById'] === undefined;
  if (isForeign) throw new Error('it holds no index of images');
  return value;
}

/** Tells of a file that was set aside. As long as it lies there, layers may be needed that only it names. */
function report(damage: DamageReport, aside: string, what: string): void {
  const advice = 'no layer is freed until somebody has mended it or taken it away';
  damage.add(`${aside} ${what}: ${advice}`, { isStillSo: () => isPathTaken(aside), needsLayers: true });
}
