// What each driver says to mount(2), word for word.

import assert from 'node:assert/strict';
import test from 'node:test';
import { aufs } from '../../src/filesystem/aufs.js';
import { overlay } from '../../src/filesystem/overlay.js';

const BRANCHES = { rootfs: '/c/rootfs', rw: '/c/rw', work: '/c/work', layers: ['/l/top', '/l/bottom'] };

test('aufs.mountCall() puts rw first, then the layers from the top, with their whiteouts (D05)', () => {
  assert.deepEqual(aufs.mountCall(BRANCHES), {
    source: 'none',
    target: '/c/rootfs',
    type: 'aufs',
    flags: 0,
    data: 'br:/c/rw=rw:/l/top=ro+wh:/l/bottom=ro+wh',
  });
});

test('aufs.mountCall() refuses a path with a colon, in rw as in a layer', () => {
  assert.throws(() => aufs.mountCall({ ...BRANCHES, rw: '/c:d/rw' }), {
    message: 'Cannot mount "/c:d/rw=rw" with aufs: the path contains a colon',
  });
  assert.throws(() => aufs.mountCall({ ...BRANCHES, layers: ['/l/a', '/l:x/b'] }), {
    message: 'Cannot mount "/l:x/b=ro+wh" with aufs: the path contains a colon',
  });
});

test('aufs.mountCall() refuses options of more than a page, which the kernel would cut', () => {
  const layers = Array.from({ length: 120 }, (_, i) => `/var/lib/tsdock/images/layers/${String(i).padStart(16, '0')}`);
  assert.throws(() => aufs.mountCall({ ...BRANCHES, layers }), /page/);
});

test('overlay.mountCall() puts the layers from the top, then rw and work', () => {
  assert.deepEqual(overlay.mountCall(BRANCHES), {
    source: 'overlay',
    target: '/c/rootfs',
    type: 'overlay',
    flags: 0,
    data: 'lowerdir=/l/top:/l/bottom,upperdir=/c/rw,workdir=/c/work',
  });
});

test('overlay.mountCall() escapes what separates layers and options', () => {
  const { data } = overlay.mountCall({
    rootfs: '/r',
    rw: '/a,b',
    work: '/w:x',
    layers: ['/l:1', '/l\\2', '/l,3', '/l 4=5'],
  });
  assert.equal(data, 'lowerdir=/l\\:1:/l\\\\2:/l\\,3:/l 4=5,upperdir=/a\\,b,workdir=/w\\:x');
});

test('overlay.mountCall() takes options that just fit into a page, and says what does not fit', () => {
  const fixed = 'lowerdir=,upperdir=/c/rw,workdir=/c/work'.length;
  const layer = `/${'x'.repeat(4095 - fixed - 1)}`;
  assert.equal(overlay.mountCall({ ...BRANCHES, layers: [layer] }).data.length, 4095);
  assert.throws(
    () => overlay.mountCall({ ...BRANCHES, layers: [`${layer}x`] }),
    /^Error: Cannot mount 1 layers with overlay: /,
  );
  assert.throws(
    () => overlay.mountCall({ ...BRANCHES, layers: [`${layer.slice(0, -1)}é`] }),
    /Cannot mount/,
    'bytes count',
  );
});
