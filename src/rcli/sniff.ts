// The content type of a reply over HTTP, from its first bytes, as Go's net/http guesses it: a web page, plain text, or
// bytes.
//
// 2013: package net/http, DetectContentType

const SNIFFED_BYTES = 512;

const HTML_TAGS = [
  '<!doctype html', '<html', '<head', '<script', '<iframe', '<h1', '<div', '<font', '<table', '<a', '<style', '<title',
  '<b', '<body', '<br', '<p',
]; // prettier-ignore

/** `text/html`, `text/plain` or `application/octet-stream`, for the beginning of a body. */
export function sniffContentType(beginning: Buffer): string {
  const head = beginning.subarray(0, SNIFFED_BYTES).toString('latin1');
  if (isHtml(head)) return 'text/html; charset=utf-8';

  return /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(head) ? 'application/octet-stream' : 'text/plain; charset=utf-8';
}

/** A page begins, after white space, with one of the tags and then a space or the end of the tag; or with a comment. */
function isHtml(head: string): boolean {
  const text = head.replace(/^[\t\n\f\r ]+/, '').toLowerCase();
  return (
    text.startsWith('<!--') || HTML_TAGS.some((tag) => text.startsWith(tag) && /[ >]/.test(text.charAt(tag.length)))
  );
}
