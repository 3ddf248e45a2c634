import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type ClusterNode, neverSynced, SyncPolicy, synced } from '../../src/index.js'
import { directory } from '../../src/storage/directory.js'
import { memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// What is on the disk and looks as if it were replicated, but cannot be: nobody may learn that only
// when the machine is lost.

const nodeOf = nodesOn()
const policy = new SyncPolicy({
  files: synced(['files/**', '!files/**/*.local']),
  texts: synced('deep/*/*.txt'),
  local: neverSynced(['files/**/*.local', 'mine/**'], { reason: 'differs per machine' }),
})
const one = new Uint8Array(1)

interface Told {
  readonly paths: Map<string, string>
  readonly counts: number[]
}

function listen(node: ClusterNode): Told {
  const told: Told = { paths: new Map(), counts: [] }
  node.on('skippedPath', ({ path, why }) => {
    expect(told.paths.has(path), `${path} is told once`).toBe(false)
    told.paths.set(path, why)
  })
  node.on('skippedPaths', ({ count }) => told.counts.push(count))
  return told
}

const odd = {
  'files/cafe\u0301.txt': /NFC/,
  'files/a:b': /the character :/,
  'files/ends.': /ends with a dot or a space/,
  'files/ends ': /ends with a dot or a space/,
  'files/aux.txt': /device on Windows/,
  'files/line\nbreak': /control character/,
  'files/back\\slash': /the character \\/,
  'files/bad?/fine.txt': /the character \?/,
  'deep/a*b/x.txt': /the character \*/,
}

describe('files that cannot be replicated', () => {
  it('because of their names are reported at each start, with the reason, and shown by status(); others are not', async () => {
    const storage = memory()
    const fine = ['files/fine.txt', 'files/café', 'deep/a/x.txt']
    const unclaimed = [
      'elsewhere/a:b',
      'mine/a:b',
      'files/x:y.local',
      'deep/a:b/c/x.txt',
      'deep/a:b/x',
    ]
    for (const path of [...Object.keys(odd), ...fine, ...unclaimed])
      storage.outside.write(path, one)
    for (const start of ['first', 'second']) {
      const node = nodeOf('alpha', { storage, policy })
      const told = listen(node)
      await node.start({ adopt: start === 'first' })
      expect([...told.paths.keys()].sort()).toEqual(Object.keys(odd).sort())
      for (const [path, why] of Object.entries(odd)) expect(told.paths.get(path)).toMatch(why)
      expect(told.counts).toEqual([])
      const { count, paths } = node.status().skippedPaths
      expect(count).toBe(told.paths.size)
      expect(new Map(paths.map(({ path, why }) => [path, why]))).toEqual(told.paths)
      expect((await node.files.list()).map(({ path }) => path)).toEqual(fine.sort())
      await node.stop()
    }
    expect(storage.outside.list()).toHaveLength(Object.keys(odd).length + fine.length + 5)
  })

  it('are reported up to a limit, and counted', async () => {
    const storage = memory()
    for (let n = 0; n < 250; n += 1) storage.outside.write(`files/a:${n}`, one)
    storage.outside.write(`files/${'x'.repeat(2000)}`, one)
    const node = nodeOf('alpha', { storage, policy })
    const told = listen(node)
    await node.start()
    expect(told.paths.size).toBe(100)
    expect(told.counts).toEqual([251])
    const { count, paths } = node.status().skippedPaths
    expect(count).toBe(251)
    expect(paths).toHaveLength(100)
    for (const { path } of paths) expect(path.length).toBeLessThan(1100)
  })

  it('because of their type are reported if a class seems to claim them or a path below', async () => {
    const root = await mkdtemp(join(tmpdir(), 'hotspare-skipped-'))
    try {
      for (const folder of ['files', 'mine', 'deep/a/b', 'elsewhere']) {
        await mkdir(join(root, folder), { recursive: true })
      }
      const links = [
        'files/link',
        'deep/link',
        'deep/a/b.txt',
        'mine/link',
        'elsewhere/link',
        'deep/a/b/c.txt',
      ]
      for (const link of links) await symlink('/nowhere', join(root, link))
      execFileSync('mkfifo', [join(root, 'files/pipe')])
      const latin1 = Buffer.concat([Buffer.from(`${root}/files/caf`), Buffer.from([0xe9])])
      await writeFile(latin1, 'x')
      const node = nodeOf('alpha', { storage: directory(root), policy })
      const told = listen(node)
      await node.start()
      expect(Object.fromEntries(told.paths)).toEqual({
        'files/link': 'it is a symbolic link',
        'files/pipe': 'it is a special file',
        'files/caf\ufffd': 'the name is no valid Unicode',
        'deep/link': 'it is a symbolic link',
        'deep/a/b.txt': 'it is a symbolic link',
      })
      await node.stop()
    } finally {
      await rm(root, { recursive: true })
    }
  })
})
