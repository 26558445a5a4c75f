// Templates with holes: a line for each value, and no value that adds a line.

import assert from 'node:assert/strict';
import test from 'node:test';
import { renderTemplate } from '../../src/lxc/template.js';

test('renderTemplate() fills holes in and leaves the other lines alone', () => {
  assert.equal(renderTemplate('a = {{a}}\n\nb = 1\n', { a: 'x' }), 'a = x\n\nb = 1\n');
});

test('renderTemplate() leaves a line out whose value is undefined or an empty list', () => {
  assert.equal(renderTemplate('1\nx = {{x}}\n2', { x: undefined }), '1\n2');
  assert.equal(renderTemplate('1\nx = {{x}}\n2', { x: [] }), '1\n2');
});

test('renderTemplate() keeps a line whose value is an empty text', () => {
  assert.equal(renderTemplate('x ={{x}}', { x: '' }), 'x =');
});

test('renderTemplate() writes a line for each value of a list, in order', () => {
  assert.equal(renderTemplate('x = {{x}}!', { x: ['b', 'a', 'b'] }), 'x = b!\nx = a!\nx = b!');
});

test('renderTemplate() fills several holes of a line in', () => {
  assert.equal(renderTemplate('{{a}}.{{b}} = {{a}}', { a: '1', b: '2' }), '1.2 = 1');
  assert.equal(renderTemplate('{{a}} {{b}}', { a: '1', b: undefined }), '');
});

test('renderTemplate() leaves holes in comments', () => {
  assert.equal(renderTemplate('# {{name}}', {}), '# {{name}}');
});

test('renderTemplate() takes dollar signs in a value as they are', () => {
  assert.equal(renderTemplate('x = {{x}}', { x: "$& $1 $$ $'" }), "x = $& $1 $$ $'");
});

test('renderTemplate() takes what looks like a hole in a value as text', () => {
  assert.equal(renderTemplate('x = {{x}}', { x: '{{y}}', y: 'secret' }), 'x = {{y}}');
});

test('renderTemplate() ends with a value that holds its own hole', { timeout: 2_000 }, () => {
  assert.equal(renderTemplate('x = {{x}}', { x: '{{x' }), 'x = {{x');
  assert.equal(renderTemplate('x = {{x}}', { x: '{{x}}' }), 'x = {{x}}');
});

test('renderTemplate() refuses values that are not one line of text', () => {
  for (const value of ['a\nlxc.hook.pre-start = /bin/sh', 'a\rb', '\0', '\x1b', '\x7f', 'a\n'])
    assert.throws(() => renderTemplate('x = {{x}}', { x: value }), {
      message: `Cannot render an LXC configuration: x ${JSON.stringify(value)} is not one line of text`,
    });
  assert.throws(() => renderTemplate('x = {{x}}', { x: ['fine', 'a\nb'] }), /is not one line of text/);
});

test('renderTemplate() refuses a hole that nobody knows, also by a name from the prototype', () => {
  for (const name of ['y', 'toString', 'constructor', '__proto__'])
    assert.throws(() => renderTemplate(`x = {{${name}}}`, { x: '1' }), {
      message: `Cannot render an LXC configuration: no value named "${name}"`,
    });
});
