// What each driver says to mount(2), word for word.

import assert from 'node:assert/strict';
import test from 'node:test';
import { aufsMountCall } from '../../src/filesystem/aufs.js';
import { overlayMountCall } from '../../src/filesystem/overlay.js';

const FEATURES = 'redirect_dir=nofollow,index=off,metacopy=off';
const BRANCHES = { rootfs: '/c/rootfs', rw: '/c/rw', work: '/c/work', layers: ['/l/top', '/l/bottom'] };

test('aufsMountCall() puts rw first, then the layers from the top, with their whiteouts (D05)', () => {
  assert.deepEqual(aufsMountCall(BRANCHES), {
    source: 'none',
    target: '/c/rootfs',
    type: 'aufs',
    flags: 0,
    data: 'br:/c/rw=rw:/l/top=ro+wh:/l/bottom=ro+wh',
  });
});

test('aufsMountCall() refuses a path with a colon, in rw as in a layer', () => {
  assert.throws(() => aufsMountCall({ ...BRANCHES, rw: '/c:d/rw' }), {
    message: 'Cannot mount "/c:d/rw=rw" with aufs: the path contains a colon',
  });
  assert.throws(() => aufsMountCall({ ...BRANCHES, layers: ['/l/a', '/l:x/b'] }), {
    message: 'Cannot mount "/l:x/b=ro+wh" with aufs: the path contains a colon',
  });
});

test('aufsMountCall() refuses options of more than a page, which the kernel would cut', () => {
  const layers = Array.from({ length: 120 }, (_, i) => `/var/lib/tsdock/images/layers/${String(i).padStart(16, '0')}`);
  assert.throws(() => aufsMountCall({ ...BRANCHES, layers }), /page/);
});

test('overlayMountCall() puts the layers from the top, then rw and work', () => {
  assert.deepEqual(overlayMountCall(BRANCHES), {
    source: 'overlay',
    target: '/c/rootfs',
    type: 'overlay',
    flags: 0,
    data: `lowerdir=/l/top:/l/bottom,upperdir=/c/rw,workdir=/c/work,${FEATURES}`,
  });
});

test('overlayMountCall() escapes what separates layers and options', () => {
  const { data } = overlayMountCall({
    rootfs: '/r',
    rw: '/a,b',
    work: '/w:x',
    layers: ['/l:1', '/l\\2', '/l,3', '/l 4=5'],
  });
  assert.equal(data, `lowerdir=/l\\:1:/l\\\\2:/l\\,3:/l 4=5,upperdir=/a\\,b,workdir=/w\\:x,${FEATURES}`);
});
