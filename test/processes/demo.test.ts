import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('a demo that does not end in time says so, with what is known, and fails', () => {
  const command = ['--import', 'tsx', 'examples/demo/main.ts', '--json', '--limit', '1.5']
  const { status, stdout } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' })
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  expect(JSON.parse(last)).toMatchObject({
    ok: false,
    error: 'the demo did not end within 1.5 s',
    nodes: 3,
    ackedWrites: expect.any(Number),
  })
  expect(status).toBe(1)
})

it('a demo of a tree with names that not every system can store leaves them out, and says so', () => {
  const tree = mkdtempSync(join(tmpdir(), 'hotspare-demo-tree-'))
  try {
    mkdirSync(join(tree, 'pages'))
    writeFileSync(join(tree, 'pages/Index.html'), 'one')
    // A system that does not tell upper from lower case cannot hold the second one.
    if (existsSync(join(tree, 'pages/index.html'))) return
    writeFileSync(join(tree, 'pages/index.html'), 'two')
    writeFileSync(join(tree, 'readme'), 'three')
    const command = ['--import', 'tsx', 'examples/demo/main.ts', '--json', '--dir', tree]
    const { stdout } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' })
    expect(stdout).toMatch(/refused 1 names such as pages\/[Ii]ndex.html/)
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ ok: true })
  } finally {
    rmSync(tree, { recursive: true })
  }
})
