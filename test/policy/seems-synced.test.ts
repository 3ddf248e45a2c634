import { expect, test } from 'vitest'
import { neverSynced, SyncPolicy, synced } from '../../src/index.js'

const policy = new SyncPolicy({
  files: synced(['files/**', '!files/tmp/**']),
  texts: synced(['deep/*/*.txt', 'one.txt', 'set/[ab]/x', 'any/**/x']),
  local: neverSynced('mine/**', { reason: 'differs per machine' }),
})

test.each([
  ['files', true],
  ['files/a', true],
  ['files/a:b', true],
  ['files/a\nb', true],
  ['files/a\\b', true],
  ['files/cafe\u0301', true],
  ['deep', true],
  ['deep/a:b', true],
  ['deep/a', true],
  ['deep/a/b.txt', true],
  ['deep/a/b', false],
  ['deep/a/b.txt/c', false],
  ['one', false],
  ['one.txt', true],
  ['one.txt/x', false],
  ['set', true],
  ['set/a', true],
  ['set/c', false],
  ['any', true],
  ['any/a/b', true],
  ['mine/a:b', false],
  ['elsewhere', false],
])('%j seems synced, or may hold what does: %s', (path, expected) => {
  expect(policy.seemsSynced(path)).toBe(expected)
})
