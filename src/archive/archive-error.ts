// The error of an archive that cannot be read or written, with the words for what an archive holds.
//
// It crosses from the worker to the daemon as a plain object (structured cloning would lose the class and the code), so
// it has no more than the fields that `toMessage` and `fromMessage` carry.

const SHOWN_NAME_LENGTH = 200;

/** What an `ArchiveError` is between two threads. */
export interface ArchiveErrorMessage {
  message: string;
  code: string | undefined;
}

/** Why an archive could not be read or unpacked; `code` is the errno's name where the system refused something. */
export class ArchiveError extends Error {
  readonly code: string | undefined;

  constructor(message: string, cause?: unknown, code?: string) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'ArchiveError';
    this.code = code ?? codeOf(cause);
  }

  toMessage(): ArchiveErrorMessage {
    return { message: this.message, code: this.code };
  }

  static fromMessage({ message, code }: ArchiveErrorMessage): ArchiveError {
    return new ArchiveError(message, undefined, code);
  }
}

/** Does `body`. What it throws becomes an `ArchiveError` that begins with what was tried. */
export function explain<T>(what: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new ArchiveError(`${what}: ${reason(error)}`, error);
  }
}

/** The text of whatever was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A name from an archive for a message: quoted, control characters escaped (it goes to a terminal), cut when long. */
export function quoteName(name: Uint8Array): string {
  const text = Buffer.from(name.subarray(0, SHOWN_NAME_LENGTH)).toString();
  return JSON.stringify(name.length > SHOWN_NAME_LENGTH ? `${text}…` : text);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
