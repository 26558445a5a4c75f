// The structs that the two originals keep on disk, as far as JSON sees them: names, types and order of their members.
//
// 2013: container.go, Container, Config and NetworkSettings; filesystem.go, Filesystem; state.go, State; image/image.go,
// Index and Image

import type { GoType } from './go-reader.js';

const FILESYSTEM: GoType = { struct: { RootFS: 'string', RWPath: 'string', Layers: { list: 'string' } } };
const STATE: GoType = { struct: { Running: 'bool', Pid: 'int', ExitCode: 'int', StartedAt: 'time' } };
const IMAGE: GoType = { struct: { Id: 'string', Layers: { list: 'string' }, Created: 'time', Parent: 'string' } };
const BEGINNING = { Id: 'string', Root: 'string', Created: 'time', Path: 'string', Args: { list: 'string' } } as const;

/** config.json, as the January daemon reads it. */
export const JANUARY_CONTAINER: GoType = {
  struct: {
    ...BEGINNING,
    Config: { struct: { Hostname: 'string', Ram: 'int', Tty: 'bool', OpenStdin: 'bool' } },
    Filesystem: FILESYSTEM,
    State: STATE,
  },
};

/** config.json, as the March daemon reads it. */
export const MARCH_CONTAINER: GoType = {
  struct: {
    ...BEGINNING,
    Config: {
      struct: {
        Hostname: 'string',
        User: 'string',
        Ram: 'int',
        Ports: { list: 'int' },
        Tty: 'bool',
        OpenStdin: 'bool',
      },
    },
    Filesystem: FILESYSTEM,
    State: STATE,
    NetworkSettings: {
      struct: { IpAddress: 'string', IpPrefixLen: 'int', Gateway: 'string', PortMapping: { map: 'string' } },
    },
    SysInitPath: 'string',
  },
};

/** userdata.json, of both. */
export const USER_DATA: GoType = { map: 'string' };

/** index.json, of both. */
export const INDEX: GoType = {
  struct: { Path: 'string', ByName: { map: { list: IMAGE } }, ById: { map: IMAGE } },
};
