// What the callers of the kill test know: what they were told, and what may have become of it since. The checks compare it
// with what a daemon has after a restart.
//
// The rule that must hold: what a call says is known only once its last frame is there. From the moment it is sent until
// then both is right: that it has done all of its work, or nothing.

/** One container, as its callers know it. */
export interface KnownContainer {
  readonly id: string;
  /** `sleeper` runs until it is ended; `talker` prints its lines and ends by itself */
  readonly kind: 'sleeper' | 'talker';
  /** calls under way that may end it, or start it */
  underWay: number;
  /** somebody has asked for its end before it came by itself */
  wasEnded: boolean;
  /** its removal was asked for */
  mayBeGone: boolean;
  /** its removal was promised */
  isGone: boolean;
}

/** One name of an image. Only one caller uses it, so its histories are few. */
export interface KnownName {
  /** ids, newest first */
  versions: string[];
  /** an addition is under way: there may be one more in front */
  isAdding: boolean;
  /** a removal is under way */
  isRemoving: boolean;
}

/** See the head of the file. */
export class Known {
  readonly containers = new Map<string, KnownContainer>();
  readonly names = new Map<string, KnownName>();
  /** every id of a container that was ever seen */
  readonly ids = new Set<string>();

  addContainer(id: string, kind: KnownContainer['kind']): KnownContainer {
    const container = { id, kind, underWay: 0, wasEnded: false, mayBeGone: false, isGone: false };
    this.containers.set(id, container);
    this.ids.add(id);
    return container;
  }

  nameOf(name: string): KnownName {
    let known = this.names.get(name);
    if (known === undefined) this.names.set(name, (known = { versions: [], isAdding: false, isRemoving: false }));
    return known;
  }

  /** What is wrong with the history that a name really has. */
  nameProblem(name: string, actual: readonly string[]): string | undefined {
    const { versions, isAdding, isRemoving } = this.nameOf(name);
    const isSame = (other: readonly string[]): boolean => other.join() === versions.join();
    const isRight = isSame(actual) || (isAdding && isSame(actual.slice(1))) || (isRemoving && actual.length === 0);
    if (isRight) return undefined;
    return `image ${name} has the versions "${actual.join()}" instead of "${versions.join()}"${isAdding ? ', one being added' : ''}${isRemoving ? ', being removed' : ''}`;
  }

  /** From now on this is the known history of a name. */
  settleName(name: string, actual: readonly string[]): void {
    Object.assign(this.nameOf(name), { versions: [...actual], isAdding: false, isRemoving: false });
  }
}
