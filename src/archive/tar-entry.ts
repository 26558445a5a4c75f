// One entry of a tar archive, as the reader hands it out and the unpacker writes it, and who takes entries.
//
// Names are bytes, exactly as the archive has them: not decoded, not cleaned, not yet trusted.

/** What an entry makes. */
export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** A piece of a sparse file that has content; between the pieces are holes. */
export interface Extent {
  offset: number;
  length: number;
}

/** The whole description of an entry; its content follows through `TarSink.write`. */
export interface TarEntry {
  kind: EntryKind;
  name: Buffer;
  /** where a symbolic link points, verbatim, or the name of the earlier entry that a hard link is another name of */
  linkName: Buffer;
  /** permissions with setuid, setgid and sticky, no type */
  mode: number;
  uid: number;
  gid: number;
  /** bytes of the file once it is on disk, holes included */
  size: number;
  /** nanoseconds since 1970 */
  mtimeNs: bigint;
  deviceMajor: number;
  deviceMinor: number;
  /** keys are names of attributes, one character a byte (latin1) */
  xattrs: ReadonlyMap<string, Buffer>;
  /** where the content goes, ascending, for a sparse file */
  extents: readonly Extent[] | undefined;
}

/** Takes entries one after the other: `begin`, then any number of `write`, then `finish`. What it throws ends the reading. */
export interface TarSink {
  begin(entry: TarEntry): void;
  /** `data` is content at `position` of the file; it is lent, and overwritten after the call. */
  write(data: Buffer, position: number): void;
  finish(): void;
}
