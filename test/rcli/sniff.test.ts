// The content type of a reply, by its first bytes.

import assert from 'node:assert/strict';
import test from 'node:test';
import { sniffContentType } from '../../src/rcli/sniff.js';

const HTML = 'text/html; charset=utf-8';
const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';

function sniff(beginning: string | Buffer): string {
  return sniffContentType(Buffer.from(beginning));
}

test('sniffContentType() takes a page by its first tag, whatever its letters and the white space before', () => {
  for (const page of ['<html>', '<!DOCTYPE html>', '<!doctype HTML >', ' \t\r\n\f<HtMl >', '<h1>x', '<p>', '<!-- x'])
    assert.equal(sniff(page), HTML, page);
});

test('sniffContentType() wants a space or the end of the tag after its name', () => {
  for (const text of ['<htm>', '<html', '<html\n>', '<pre>', '<!doctype htmlx>', 'x<html>'])
    assert.equal(sniff(text), TEXT, text);
});

test('sniffContentType() takes printed text as text, with tabs, line ends, form feeds and escapes', () => {
  for (const text of ['', 'ID   IMAGE\n', 'a\tb\r\n', '\x0c', '\x1b[1mbold', 'größe', Buffer.of(0xff, 0xc3)])
    assert.equal(sniff(text), TEXT, JSON.stringify(String(text)));
});

test('sniffContentType() takes control characters for bytes, within the first 512', () => {
  for (const code of [0, 1, 8, 0x0b, 0x0e, 0x1a, 0x1c, 0x1f])
    assert.equal(sniff(Buffer.of(97, code)), BYTES, String(code));
  assert.equal(sniff(`${'a'.repeat(511)}\0`), BYTES);
  assert.equal(sniff(`${'a'.repeat(512)}\0`), TEXT);
});
